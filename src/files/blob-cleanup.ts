import type { BlobStore, Reserve } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { BackgroundFailures } from './background-failures.ts'
import { Sweeper } from './sweeper.ts'

/** Blobs or files in one step. */
const BATCH = 500

/** Steps that are taken even while the server stops, so that a short removal completes. */
const SHORT_STEPS = 4

/** A removal of this many blobs takes some seconds. */
const LONG_REMOVAL = 10_000

interface CleanupOptions { metadata: Metadata, blobs: BlobStore, reserve: Pick<Reserve, 'restore'>, failures: BackgroundFailures }

/** A removal of many blobs: how many so far, and when it has ended, how long it took. */
interface LongRemoval { readonly blobs: number, readonly seconds?: number }

/** Called when a removal has become long, and when it ends. Must not throw. */
type RemovalObserver = (removal: LongRemoval) => void

/** Called after each step of a removal, with the number of blobs that it deleted. Must not throw. */
type StepObserver = (removed: number) => void

/** Removes deleted accounts and unused bytes in the background, in batches, with requests served in between. */
export class BlobCleanup {
  readonly #stores: CleanupOptions
  readonly #sweeper: Sweeper
  #observer: RemovalObserver | undefined
  #stepObserver: StepObserver | undefined

  constructor (stores: CleanupOptions) {
    this.#stores = stores
    this.#sweeper = new Sweeper(
      signal => this.#removeUnreferenced(signal).then(() => stores.reserve.restore()),
      stores.failures.of('the removal of deleted bytes')
    )
    stores.metadata.watchRemovals(() => this.sweep())
  }

  /** At start, completes or removes interrupted uploads. The cost depends only on their number. */
  async recover (): Promise<void> {
    const pending = await this.#stores.blobs.pending?.() ?? []
    for (let first = 0; first < pending.length; first += BATCH) {
      await this.#recoverBatch(pending.slice(first, first + BATCH))
    }
  }

  /** Requests a removal, which starts soon. What fails is tried again within a minute. */
  sweep (): void {
    this.#sweeper.request()
  }

  /** Removes without delay. Resolves when what is discarded now is removed, or can't be. */
  sweepNow (): Promise<void> {
    return this.#sweeper.sweepNow()
  }

  /** Ends long removals after the step in progress: the next start goes on. */
  stop (): void {
    this.#sweeper.stop()
  }

  /** Waits for the removals that were requested. */
  close (): Promise<void> {
    return this.#sweeper.close()
  }

  /** Calls `observer` for every long removal from now on. For the log. */
  watch (observer: RemovalObserver): void {
    this.#observer = observer
  }

  /** Calls `observer` for every step from now on. For the progress of a command. */
  watchSteps (observer: StepObserver): void {
    this.#stepObserver = observer
  }

  async #removeUnreferenced (signal: AbortSignal): Promise<void> {
    const { metadata, blobs } = this.#stores
    const startedAt = performance.now()
    let count = 0
    let steps = 0
    try {
      do {
        steps++
        const isMore = await metadata.accounts.purgeDeleted(BATCH)
        const { removed, isFull } = await this.#removeDiscarded()
        if (count < LONG_REMOVAL && count + removed >= LONG_REMOVAL) this.#observer?.({ blobs: count + removed })
        count += removed
        this.#stepObserver?.(removed)
        if (isMore || isFull) continue
        if (blobs.needsLeases) await this.#removeAbandoned()
        return
      } while (!signal.aborted || steps < SHORT_STEPS)
    } finally {
      if (count >= LONG_REMOVAL) this.#observer?.({ blobs: count, seconds: (performance.now() - startedAt) / 1000 })
    }
  }

  /** One batch. `isFull`: there may be more that can be removed. */
  async #removeDiscarded (): Promise<{ removed: number, isFull: boolean }> {
    const { metadata, blobs, failures } = this.#stores
    const ids = await metadata.blobs.claimDiscarded(BATCH, blobs.graceSeconds)
    if (ids.length === 0) return { removed: 0, isFull: false }
    const removed = await blobs.remove(ids)
    // A blob that can't be removed is tried again later, and must not block others.
    const failed = ids.filter(id => !removed.includes(id))
    if (failed.length > 0) {
      failures.of('the removal of deleted bytes')(new Error(`${failed.length} of ${ids.length} blobs could not be deleted`))
      await metadata.blobs.postponeDiscarded(failed).catch(() => {})
    }
    if (removed.length > 0) await metadata.blobs.clearDiscarded(removed)
    return { removed: removed.length, isFull: ids.length === BATCH && removed.length > 0 }
  }

  /** One batch. Only interrupted uploads leave such blobs. */
  async #removeAbandoned (): Promise<void> {
    const { metadata, blobs } = this.#stores
    const ids = await metadata.blobs.claimAbandoned(BATCH)
    if (ids.length > 0) await metadata.blobs.clearAbandoned(await blobs.remove(ids))
  }

  async #recoverBatch (pending: string[]): Promise<void> {
    const { metadata, blobs } = this.#stores
    const known = await metadata.blobs.findKnown(pending)
    for (const id of pending) {
      if (known.has(id)) blobs.commit(id)
    }
    // Discarded blobs are left to the sweep: a backup may need them.
    const referenced = await metadata.blobs.findReferenced(pending)
    await blobs.remove(pending.filter(id => !referenced.has(id)))
  }
}
