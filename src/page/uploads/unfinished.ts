import { signal } from '@preact/signals'
import { ignoreMissing, loadAll, request } from '../requests.ts'
import { loadFingerprints, removeFingerprints } from './fingerprints.ts'
import { keyOf, type NamedFile } from './names.ts'
import { heldNames } from './upload-locks.ts'

/** An upload of this account that no window of this browser is sending. */
export interface UnfinishedUpload {
  readonly id: string
  readonly name: string
  /** Null until the client has announced it. */
  readonly size: number | null
  readonly offset: number
}

/** The list that is shown. */
export const unfinished = signal<readonly UnfinishedUpload[]>([])

/** Loads the list, without uploads that this window (`isOwn`) or another one has. @throws what `call` throws. */
export async function loadUnfinished (isOwn: (id: string) => boolean): Promise<void> {
  const known = Object.keys(loadFingerprints())
  const listed = await loadAll('uploads', (api, query) => api.GET('/api/uploads', { params: { query } }))
  const elsewhere = await heldNames()
  unfinished.value = listed.filter(({ id, name }) => !isOwn(id) && !elsewhere.has(name))
  const ended = new Set(known)
  for (const { id } of listed) ended.delete(id)
  removeFingerprints(...ended)
}

/** Ends an unfinished upload. @throws what `call` throws. */
export async function cancelUnfinished (id: string): Promise<void> {
  await request(api => api.DELETE('/api/uploads/{id}', { params: { path: { id } } })).catch(ignoreMissing)
  removeFingerprints(id)
  dropUnfinished(id)
}

/** Removes an upload from the list, because it ended or this window continues it. */
export function dropUnfinished (id: string): void {
  unfinished.value = unfinished.peek().filter(upload => upload.id !== id)
}

/** Removes uploads that ended because an upload of the same name was created. */
export function dropReplaced (name: string): void {
  const replaced = unfinished.peek().filter(upload => upload.name === keyOf(name))
  removeFingerprints(...replaced.map(({ id }) => id))
  unfinished.value = unfinished.peek().filter(upload => !replaced.includes(upload))
}

/** Adds an upload to the list again, because this window does not continue it. */
export function returnUnfinished (upload: UnfinishedUpload): void {
  unfinished.value = [upload, ...unfinished.peek()]
}

/**
 * Returns a function that finds the unfinished upload of a file by name and size. `isCertain`: the time of change is
 * the same too.
 */
export function createMatcher (): (file: NamedFile) => { upload: UnfinishedUpload, isCertain: boolean } | undefined {
  const names = new Set(unfinished.peek().map(({ name }) => name))
  const fingerprints = loadFingerprints()
  return ({ file, name: chosenName }) => {
    const name = keyOf(chosenName)
    // The name first, because reading the size of a file can need a disk access.
    if (!names.has(name)) return undefined
    const candidates = unfinished.peek().filter(upload => upload.name === name && upload.size === file.size)
    const same = candidates.find(({ id }) => fingerprints[id]?.lastModified === file.lastModified)
    const upload = same ?? candidates[0]
    return upload && { upload, isCertain: same !== undefined }
  }
}
