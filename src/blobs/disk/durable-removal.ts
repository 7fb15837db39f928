import { rename, unlink } from 'node:fs/promises'

interface Places {
  /** Paths of a blob before and after it is committed. */
  readonly pendingPath: (id: string) => string
  readonly committedPath: (id: string) => string
  /** Syncs the folder of the pending blobs. */
  readonly syncPending: () => Promise<void>
}

/**
 * Removes the files of blobs. Returns the ids of those that are gone, also after a power failure. They become pending again
 * first, which one sync makes durable for all of them: a pending file that reappears is removed at the next start. Syncing
 * each of their folders instead cost a delete 2.5 times the CPU time.
 */
export async function removeDurably (ids: string[], { pendingPath, committedPath, syncPending }: Places): Promise<string[]> {
  const pending = await havingDone(ids, id => rename(committedPath(id), pendingPath(id)))
  await syncPending()
  return havingDone(pending, id => unlink(pendingPath(id)))
}

/** The ids for which `act` succeeded, or found no file. */
async function havingDone (ids: string[], act: (id: string) => Promise<void>): Promise<string[]> {
  const isDone = await Promise.all(ids.map(id => act(id).catch(ignoreMissing).then(() => true, () => false)))
  return ids.filter((_, index) => isDone[index])
}

export function ignoreMissing (error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
