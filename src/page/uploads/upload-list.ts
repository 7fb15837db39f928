import { computed, signal } from '@preact/signals'
import { MagicStoreError } from 'magicstore'
import { keyOf } from './names.ts'
import type { Upload, UploadState } from './upload.ts'

type Counts = Record<UploadState['kind'], number>

/** All uploads of this window, in the order in which they were added. */
export const uploads = signal<readonly Upload[]>([])

/** The number of uploads in each state. */
export const counts = computed(() => {
  const counts: Counts = { waiting: 0, running: 0, paused: 0, stored: 0, conflict: 0, resumable: 0, failed: 0 }
  for (const { state } of uploads.value) counts[state.value.kind]++
  return counts
})

/**
 * The names of uploads that the server has begun to store. A new upload of such a name would end that one, so it has to
 * wait.
 */
export const begunNames = computed(() => new Set(uploads.value.filter(hasBegun).map(({ name }) => keyOf(name.value))))

export const hasResumable = computed(() => uploads.value.some(isResumable))

/** Whether an upload waits for another one of the same name. */
export function isBehind ({ id, name }: Upload, begunNames: ReadonlySet<string>): boolean {
  return id === undefined && begunNames.has(keyOf(name.peek()))
}

/** Whether an upload is paused, or failed for a reason that may be over: the network, the session or the server. */
export function isResumable ({ state }: Upload): boolean {
  const now = state.value
  if (now.kind !== 'failed') return now.kind === 'paused'
  return !(now.error instanceof MagicStoreError) || now.error.status === 401 || now.error.status >= 500
}

/** Whether an upload waits for the user. */
export function isStopped ({ state }: Upload): boolean {
  return ['paused', 'failed'].includes(state.peek().kind)
}

export function remove (upload: Upload): void {
  uploads.value = uploads.peek().filter(other => other !== upload)
}

export function clearFinished (): void {
  uploads.value = uploads.peek().filter(({ state }) => state.peek().kind !== 'stored')
}

function hasBegun ({ id, state }: Upload): boolean {
  const { kind } = state.value
  return kind === 'running' || (id !== undefined && kind !== 'stored')
}
