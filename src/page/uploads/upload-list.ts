import { computed, signal } from '@preact/signals'
import { MagicStoreError } from 'magicstore'
import { throttled } from '../files/throttle.ts'
import { isWithin } from '../paths.ts'
import { openFolder } from '../view.ts'
import { keyOf } from './names.ts'
import type { Upload, UploadState } from './upload.ts'

type Counts = Record<UploadState['kind'], number>

/** Shortest time between updates of the list: more than a hundred small files can be stored in a second. */
const INTERVAL_MS = 100

/** When there are more stored uploads than this, the page forgets all but the shown ones, and only counts them. */
const MAX_STORED = 100

/** The last stored uploads that are shown. */
export const SHOWN_STORED = 5

/** In place of a file that is stored. */
const NO_FILE = new File([], '')

/** The uploads of this window, in the order in which they were added, without those that are forgotten. */
export const uploads = signal<readonly Upload[]>([])

/** The uploads as of the last update of the list. */
export const shownUploads = signal<readonly Upload[]>([])

/** Stored uploads that are forgotten. */
let forgottenCount = 0

/** The number of uploads in each state. */
export const counts = computed(() => {
  const counts: Counts = { waiting: 0, running: 0, paused: 0, stored: 0, conflict: 0, resumable: 0, failed: 0 }
  for (const { state } of shownUploads.value) counts[state.peek().kind]++
  counts.stored += forgottenCount
  return counts
})

/** What the title of the window begins with while files are being sent. */
export const titleStart = signal('')

/** Whether this browser keeps the files of all uploads, also after the page is closed. */
export const areKept = signal(false)

/** The names of {@link namesBegun}, as they are shown. */
export const begunNames = computed(() => namesBegun(shownUploads.value))

/** Whether files are on their way to the open folder. */
export const isArriving = computed(() => shownUploads.value.some(({ name, state }) =>
  state.peek().kind !== 'stored' && (openFolder.value === '' || isWithin(name.peek(), openFolder.value))))

export const hasResumable = computed(() => shownUploads.value.some(isResumable))

const show = throttled(() => {
  forgetStored()
  shownUploads.value = [...uploads.peek()]
}, INTERVAL_MS)

export function setUploads (next: readonly Upload[]): void {
  uploads.value = next
  show()
}

export function setState (upload: Upload, state: UploadState): void {
  if (state.kind === 'stored') upload.file = NO_FILE
  upload.state.value = state
  show()
}

/**
 * The names of uploads that the server has begun to store. A new upload of such a name would end that one, so it has to
 * wait.
 */
export function namesBegun (uploads: readonly Upload[]): Set<string> {
  return new Set(uploads.filter(hasBegun).map(({ name }) => keyOf(name.peek())))
}

/** Whether an upload waits for another one of the same name. */
export function isBehind ({ id, name }: Upload, begunNames: ReadonlySet<string>): boolean {
  return id === undefined && begunNames.has(keyOf(name.peek()))
}

/** Whether an upload is paused, or failed for a reason that may be over: the network, the session or the server. */
export function isResumable ({ state }: Upload): boolean {
  const now = state.peek()
  if (now.kind !== 'failed') return now.kind === 'paused'
  return !(now.error instanceof MagicStoreError) || now.error.status === 401 || now.error.status >= 500
}

export function isUnsent ({ state }: Upload): boolean {
  return state.peek().kind !== 'stored'
}

/** Whether an upload waits for the user. */
export function isStopped ({ state }: Upload): boolean {
  return ['paused', 'failed'].includes(state.peek().kind)
}

export function isIn (kind: UploadState['kind']): (upload: Upload) => boolean {
  return ({ state }) => state.peek().kind === kind
}

export function remove (...removed: Upload[]): void {
  const gone = new Set(removed)
  setUploads(uploads.peek().filter(upload => !gone.has(upload)))
}

export function clearFinished (): void {
  forgottenCount = 0
  remove(...uploads.peek().filter(isIn('stored')))
}

function forgetStored (): void {
  const stored = uploads.peek().filter(isIn('stored'))
  if (stored.length <= MAX_STORED) return
  const forgotten = new Set(stored.slice(0, -SHOWN_STORED))
  forgottenCount += forgotten.size
  uploads.value = uploads.peek().filter(upload => !forgotten.has(upload))
}

function hasBegun ({ id, state }: Upload): boolean {
  const { kind } = state.peek()
  return kind === 'running' || (id !== undefined && kind !== 'stored')
}
