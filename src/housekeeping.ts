import type { Reserve } from './blobs/blob-store.ts'
import type { Metadata } from './metadata/metadata.ts'

const INTERVAL_MILLISECONDS = 60_000

/**
 * An expired token stays so long. Of an access token the signed text itself tells that it expired, rounded up to the second;
 * a personal one is known by its row alone, and for a day whoever presents it is told.
 */
const TOKEN_MEMORY_MILLISECONDS = { access: 60_000, personal: 24 * 3600 * 1000 } as const

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
    for (const kind of ['access', 'personal'] as const) {
      while (await metadata.removeExpiredTokens({ kind, before: now - TOKEN_MEMORY_MILLISECONDS[kind] }, BATCH));
    }
    while (await metadata.removeAttempts({ since: now - ATTEMPT_MEMORY_MILLISECONDS, until: now, limit: BATCH }));
    await reserve.restore()
  }
  // What fails now, on a full disk, is done a minute later.
  const timer = setInterval(() => { tidy().catch(() => {}) }, INTERVAL_MILLISECONDS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
