import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sync } from './durable-files.ts'

/** Where a blob lies by its id, before and after it is committed. */
interface Places {
  readonly pendingPath: (id: string) => string
  readonly committedPath: (id: string) => string
}

/** Removes the bytes of blobs, and gives the ids of those that no power cut brings back. Each folder is synced once. */
export async function removeDurably (ids: string[], places: Places): Promise<string[]> {
  const gone: string[] = []
  const unsynced = new Map<string, string[]>()
  for (const id of ids) {
    const folder = await unlinkBlob(id, places).catch(() => undefined)
    if (folder === 'incoming') gone.push(id)
    else if (folder !== undefined) unsynced.set(folder, [...unsynced.get(folder) ?? [], id])
  }
  for (const [folder, removed] of unsynced) if (await isSynced(folder)) gone.push(...removed)
  return gone
}

/** Gives the folder to sync. What comes back in `incoming/` after a power cut is removed by the next start, so that this one need not be synced. */
async function unlinkBlob (id: string, { pendingPath, committedPath }: Places): Promise<string> {
  // In this order: another process may be moving it from the one place to the other.
  if (await unlinkIfThere(pendingPath(id))) return 'incoming'
  await unlinkIfThere(committedPath(id))
  return dirname(committedPath(id))
}

/** Whether it was there. */
async function unlinkIfThere (path: string): Promise<boolean> {
  return unlink(path).then(() => true, (error: NodeJS.ErrnoException) => {
    ignoreMissing(error)
    return false
  })
}

/** Whether a folder could be put on stable storage; one that is not there has nothing to lose. */
async function isSynced (folder: string): Promise<boolean> {
  return sync(folder).then(() => true, (error: NodeJS.ErrnoException) => error.code === 'ENOENT')
}

export function ignoreMissing (error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
