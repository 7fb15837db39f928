import type { BlobStore, Reserve } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { createSweeper } from './sweeper.ts'

/** Blobs or files in one step. */
const BATCH = 500

/** So many steps are taken even if the server stops: a short removal ends before it. */
const SHORT_STEPS = 4

/** A removal of this many blobs takes some seconds. */
const LONG_REMOVAL = 10_000

interface Stores { metadata: Metadata, blobs: BlobStore, reserve: Reserve }

/** A removal of many blobs: how many so far, and when it has ended, how long it took. */
export interface LongRemoval { readonly blobs: number, readonly seconds?: number }

/** Called when a removal has become long, and when it ends. Must not throw. */
export type RemovalObserver = (removal: LongRemoval) => void

/** Removes deleted accounts and the bytes that no file uses, in the background. */
export interface BlobCleanup {
  /** At start: completes or removes the uploads that the last process had in progress. The cost depends on their number only. */
  recover (): Promise<void>
  /** Requests a removal, which starts soon. What fails is tried again within a minute. */
  sweep (): void
  /** Removes without delay. Resolves when what is discarded now is removed, or can't be. */
  sweepNow (): Promise<void>
  /** Ends long removals after the step in progress: the next start goes on. */
  stop (): void
  /** Waits for the removals that were requested. */
  close (): Promise<void>
  /** Calls `observer` for every long removal from now on. For the log. */
  watch (observer: RemovalObserver): void
}

/** In batches, so that requests are served in between. */
export function createBlobCleanup ({ metadata, blobs, reserve }: Stores): BlobCleanup {
  const sweeper = createSweeper(signal => removeUnreferenced(signal).then(reserve.restore))
  let observer: RemovalObserver | undefined

  async function removeUnreferenced (signal: AbortSignal): Promise<void> {
    const startedAt = performance.now()
    let count = 0
    let steps = 0
    try {
      do {
        steps++
        const isMore = await reserve.withSpace(() => metadata.accounts.purgeDeleted(BATCH))
        const { removed, isFull } = await removeDiscarded()
        if (count < LONG_REMOVAL && count + removed >= LONG_REMOVAL) observer?.({ blobs: count + removed })
        count += removed
        if (isMore || isFull) continue
        if (blobs.needsLeases) await removeAbandoned()
        return
      } while (!signal.aborted || steps < SHORT_STEPS)
    } finally {
      if (count >= LONG_REMOVAL) observer?.({ blobs: count, seconds: (performance.now() - startedAt) / 1000 })
    }
  }

  /** One batch. `isFull`: there may be more that can be removed. */
  async function removeDiscarded (): Promise<{ removed: number, isFull: boolean }> {
    const ids = await metadata.blobs.claimDiscarded(BATCH, blobs.graceSeconds)
    if (ids.length === 0) return { removed: 0, isFull: false }
    const removed = await blobs.remove(ids)
    // A blob that can't be removed is tried again later; it must not keep those behind it.
    const failed = ids.filter(id => !removed.includes(id))
    if (failed.length > 0) await metadata.blobs.postponeDiscarded(failed).catch(() => {})
    if (removed.length > 0) await reserve.withSpace(() => metadata.blobs.clearDiscarded(removed))
    return { removed: removed.length, isFull: ids.length === BATCH && removed.length > 0 }
  }

  /** One batch: only uploads that a process did not end leave such blobs. */
  async function removeAbandoned (): Promise<void> {
    const ids = await metadata.blobs.claimAbandoned(BATCH)
    if (ids.length > 0) await metadata.blobs.clearAbandoned(await blobs.remove(ids))
  }

  async function recoverBatch (pending: string[]): Promise<void> {
    const known = await metadata.blobs.findKnown(pending)
    for (const id of pending) {
      if (known.has(id)) blobs.commit(id)
    }
    // Discarded blobs are left to the sweep: a backup may need them.
    const referenced = await metadata.blobs.findReferenced(pending)
    await blobs.remove(pending.filter(id => !referenced.has(id)))
  }

  return {
    async recover () {
      const pending = await blobs.pending()
      for (let first = 0; first < pending.length; first += BATCH) await recoverBatch(pending.slice(first, first + BATCH))
    },

    sweep: sweeper.request,

    sweepNow: sweeper.sweepNow,

    stop: sweeper.stop,

    close: sweeper.close,

    watch (watching) { observer = watching }
  }
}
