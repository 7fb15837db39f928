import type { Reserve } from './blobs/blob-store.ts'
import type { Metadata } from './metadata/metadata.ts'

const INTERVAL_MILLISECONDS = 60_000

/** An expired token is remembered for a day, so that whoever presents it is told that it expired. */
const TOKEN_MEMORY_MILLISECONDS = 24 * 3600 * 1000

/** Longer than any rule counts attempts for. */
const ATTEMPT_MEMORY_MILLISECONDS = 2 * 3600 * 1000

/** Rows that one commit forgets: it takes a few milliseconds. */
const BATCH = 500

export interface Housekeeping { stop (): void }

interface HousekeepingOptions {
  metadata: Metadata
  reserve: Reserve
  /** Removes the bytes that nobody owns any more: what a backup held, or the disk did not give up. */
  sweep: () => void
}

/** Forgets, a little at a time, what time has made useless, and makes the reserve again when there is room. */
export function startHousekeeping ({ metadata, reserve, sweep }: HousekeepingOptions): Housekeeping {
  async function tidy (): Promise<void> {
    const now = Date.now()
    sweep()
    while (await metadata.removeExpiredTokens(now - TOKEN_MEMORY_MILLISECONDS, BATCH));
    while (await metadata.removeAttempts(now - ATTEMPT_MEMORY_MILLISECONDS, BATCH));
    await reserve.restore()
  }
  // What fails now, on a full disk, is done a minute later.
  const timer = setInterval(() => { tidy().catch(() => {}) }, INTERVAL_MILLISECONDS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
