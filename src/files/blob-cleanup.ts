import type { BlobStore, Reserve } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'

/** Blobs or files in one step. */
const BATCH = 500

interface Stores { metadata: Metadata, blobs: BlobStore, reserve: Reserve }

export interface BlobCleanup {
  /** Removes the files of deleted accounts, and the bytes that no file uses. */
  removeUnreferenced (): Promise<void>
  /** At start: commits or removes the pending blobs of the last process, then removes unreferenced bytes. */
  recover (): Promise<void>
}

/** Removes bytes that no file refers to, in batches, so that requests are served in between. */
export function createBlobCleanup ({ metadata, blobs, reserve }: Stores): BlobCleanup {
  async function removeUnreferenced (): Promise<void> {
    while (await reserve.withSpace(() => metadata.purgeDeletedAccounts(BATCH))) await removeDiscarded()
    await removeDiscarded()
    if (blobs.needsLeases) await removeAbandoned()
  }

  async function removeDiscarded (): Promise<void> {
    const ids = await metadata.discardedBlobs(BATCH, blobs.graceSeconds)
    if (ids.length === 0) return
    const removed = await blobs.remove(ids)
    // A blob that can't be removed is tried again later; it must not prevent a start, nor the removal of those behind it.
    const failed = ids.filter(id => !removed.includes(id))
    if (failed.length > 0) await metadata.postponeDiscarded(failed).catch(() => {})
    if (removed.length === 0) return
    await reserve.withSpace(() => metadata.clearDiscarded(removed))
    if (ids.length === BATCH) await removeDiscarded()
  }

  /** One batch: only uploads that a process did not end leave such blobs. */
  async function removeAbandoned (): Promise<void> {
    const ids = await metadata.abandonedBlobs(BATCH)
    if (ids.length > 0) await metadata.clearAbandoned(await blobs.remove(ids))
  }

  async function recoverBatch (pending: string[]): Promise<void> {
    const known = await metadata.knownBlobs(pending)
    for (const id of pending) {
      if (known.has(id)) blobs.commit(id)
    }
    // Discarded blobs are left to the sweep: a backup may need them.
    const referenced = await metadata.referencedBlobs(pending)
    await blobs.remove(pending.filter(id => !referenced.has(id)))
  }

  return {
    removeUnreferenced,

    async recover () {
      const pending = await blobs.pending()
      for (let first = 0; first < pending.length; first += BATCH) await recoverBatch(pending.slice(first, first + BATCH))
      await removeUnreferenced()
    }
  }
}
