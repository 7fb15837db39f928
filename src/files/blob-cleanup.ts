import type { AppServices } from '../services.ts'
import { createSweeper } from './sweeper.ts'

/** Blobs or files in one step. */
const BATCH = 500

/** Steps that are taken even while the server stops, so that a short removal completes. */
const SHORT_STEPS = 4

/** A removal of this many blobs takes some seconds. */
const LONG_REMOVAL = 10_000

/** A removal of many blobs: how many so far, and when it has ended, how long it took. */
interface LongRemoval { readonly blobs: number, readonly seconds?: number }

export type BlobCleanup = ReturnType<typeof createBlobCleanup>

/** Removes deleted accounts and unused bytes in the background, in batches, with requests served in between. */
export function createBlobCleanup (
  { metadata, blobs, reserve, failures }: Pick<AppServices, 'metadata' | 'blobs' | 'reserve' | 'failures'>
) {
  let onLongRemoval: ((removal: LongRemoval) => void) | undefined
  let onStep: ((removed: number) => void) | undefined
  const onFailure = failures.of('the removal of deleted bytes')
  const sweeper = createSweeper(signal => removeUnreferenced(signal).then(() => reserve.restore()), onFailure)
  metadata.watchRemovals(sweeper.sweep)

  async function removeUnreferenced (signal: AbortSignal): Promise<void> {
    const startedAt = performance.now()
    let count = 0
    let steps = 0
    try {
      do {
        steps++
        const isMore = await metadata.accounts.purgeDeleted(BATCH)
        const { removed, isFull } = await removeDiscarded()
        if (count < LONG_REMOVAL && count + removed >= LONG_REMOVAL) onLongRemoval?.({ blobs: count + removed })
        count += removed
        onStep?.(removed)
        if (isMore || isFull) continue
        if (blobs.needsLeases) await removeAbandoned()
        return
      } while (!signal.aborted || steps < SHORT_STEPS)
    } finally {
      if (count >= LONG_REMOVAL) onLongRemoval?.({ blobs: count, seconds: (performance.now() - startedAt) / 1000 })
    }
  }

  /** One batch. `isFull`: there may be more that can be removed. */
  async function removeDiscarded (): Promise<{ removed: number, isFull: boolean }> {
    const ids = await metadata.blobs.takeDiscarded(BATCH, blobs.graceSeconds)
    if (ids.length === 0) return { removed: 0, isFull: false }
    const removed = await blobs.remove(ids)
    // A blob that can't be removed is tried again later, and must not block others.
    const failed = ids.filter(id => !removed.includes(id))
    if (failed.length > 0) {
      onFailure(new Error(`${failed.length} of ${ids.length} blobs could not be deleted`))
      await metadata.blobs.postponeDiscarded(failed).catch(() => {})
    }
    if (removed.length > 0) await metadata.blobs.clearDiscarded(removed)
    return { removed: removed.length, isFull: ids.length === BATCH && removed.length > 0 }
  }

  /** One batch. Only interrupted uploads leave such blobs. */
  async function removeAbandoned (): Promise<void> {
    const ids = await metadata.blobs.takeAbandoned(BATCH)
    if (ids.length > 0) await metadata.blobs.clearAbandoned(await blobs.remove(ids))
  }

  return {
    ...sweeper,

    /** At start, completes or removes interrupted uploads. The cost depends only on their number. */
    async recover (): Promise<void> {
      const pending = await blobs.pending?.() ?? []
      for (let first = 0; first < pending.length; first += BATCH) {
        const batch = pending.slice(first, first + BATCH)
        for (const id of await metadata.blobs.findKnown(batch)) blobs.commit(id)
        // Discarded blobs are left to the sweep: a backup may need them.
        const referenced = await metadata.blobs.findReferenced(batch)
        await blobs.remove(batch.filter(id => !referenced.has(id)))
      }
    },

    /** Calls `observer`, which must not throw, when a removal has become long, and when it ends. For the log. */
    watch (observer: NonNullable<typeof onLongRemoval>): void {
      onLongRemoval = observer
    },

    /**
     * Calls `observer`, which must not throw, after each step of a removal, with the number of blobs that it deleted.
     * For the progress of a command.
     */
    watchSteps (observer: NonNullable<typeof onStep>): void {
      onStep = observer
    }
  }
}
