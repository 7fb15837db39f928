import type { Reserve } from '../blobs/blob-store.ts'
import type { Metadata } from './metadata.ts'

const INTERVAL_MILLISECONDS = 60_000

/**
 * How long an expired token is kept. The text of an access token says when it expires, in whole seconds. Only the row of a
 * personal token does: for a day its user is told that it has expired rather than that it was revoked.
 */
const EXPIRED_TOKEN_MILLISECONDS = { access: 60_000, personal: 24 * 3600 * 1000 } as const

/** Longer than any limit counts attempts. */
const ATTEMPT_MILLISECONDS = 2 * 3600 * 1000

/** An attempt that is later than this is from before the clock was set back. */
const DRIFT_MILLISECONDS = 60_000

/** Rows deleted in one commit, which takes a few milliseconds. */
const BATCH = 500

export interface Housekeeping { stop (): void }

interface HousekeepingOptions {
  metadata: Metadata
  reserve: Reserve
  /** Deletes the bytes of discarded blobs that could not be deleted earlier: a backup retained them, or the disk refused. */
  sweep: () => void
}

/** Once a minute, deletes expired tokens and uploads, old attempts and discarded blobs, and restores the reserve if there is space. */
export function startHousekeeping ({ metadata, reserve, sweep }: HousekeepingOptions): Housekeeping {
  async function run (): Promise<void> {
    sweep()
    const now = await metadata.now()
    for (const kind of ['access', 'personal'] as const) {
      await untilNone(() => metadata.removeExpiredTokens({ kind, before: now - EXPIRED_TOKEN_MILLISECONDS[kind] }, BATCH))
    }
    await untilNone(() => metadata.removeAttempts({ since: now - ATTEMPT_MILLISECONDS, until: now + DRIFT_MILLISECONDS, limit: BATCH }))
    await untilNone(() => metadata.removeExpiredUploads(BATCH))
    await reserve.restore()
  }
  // A run that fails, on a full disk for example, is repeated a minute later.
  const timer = setInterval(() => { run().catch(() => {}) }, INTERVAL_MILLISECONDS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

/** Removes batches until there may be no more. */
async function untilNone (removeBatch: () => Promise<boolean>): Promise<void> {
  while (await removeBatch());
}
