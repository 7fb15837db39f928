import { setImmediate as turn, setTimeout } from 'node:timers/promises'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'

const INTERVAL_MILLISECONDS = 60_000

/** A difference of the clocks that is reported. */
const CLOCK_SECONDS = 60

/**
 * How long the row of an expired token is kept. An access token contains its expiry. A personal token does not: its row
 * is kept for a day, so that the error is `token_expired`, not `token_revoked`. An expired session gets the same
 * response as a revoked one.
 */
const EXPIRED_TOKENS = [
  { kind: 'access', milliseconds: 60_000 },
  { kind: 'personal', milliseconds: 24 * 3600 * 1000 },
  { kind: 'session', milliseconds: 60_000 }
] as const

/** Longer than the longest window of any limit. */
const ATTEMPT_MILLISECONDS = 2 * 3600 * 1000
const CODE_MILLISECONDS = 25 * 3600 * 1000

/** An attempt that is later than this is from before the clock was set back. */
const DRIFT_MILLISECONDS = 60_000

/** Rows deleted in one commit, which takes a few milliseconds. */
const BATCH = 500

/** Kept contents deleted in one commit: a request that waits for it is not late. */
const CONTENT_BATCH = 20

/** Pause between batches, in which requests are served. */
const PAUSE_MILLISECONDS = 10

/** How often to check whether a sweep has freed enough, and how long to wait each time: deletions may never end. */
const SWEEP_TRIES = 10
const SWEEP_MILLISECONDS = 500

export type Housekeeping = ReturnType<typeof startHousekeeping>

/**
 * Once a minute, deletes expired tokens, connections, links for one upload, uploads and kept content, old attempts,
 * events and changes, and discarded blobs.
 */
export function startHousekeeping (
  { metadata, blobs, cleanup, failures, programConnections, config: { eventMilliseconds } }:
  Pick<AppServices, 'metadata' | 'blobs' | 'cleanup' | 'failures' | 'programConnections' | 'config'>
) {
  /** Deletes the oldest versions and trash while less than twice the space that uploads must leave is free. */
  async function evictOldest (): Promise<void> {
    const { space } = blobs
    if (space === undefined) return
    const missingBytes = () => space.measure().then(({ reserved, free }) => 2 * reserved - free)
    // Until the backup ends, deleting more frees nothing.
    if (await metadata.blobs.hasRetentionLock()) return
    // Bytes that are being deleted are freed first.
    const isFreeing = async () => await missingBytes() > 0 && metadata.blobs.hasDiscarded()
    for (let tries = 0; tries < SWEEP_TRIES && await isFreeing(); tries++) await pause(SWEEP_MILLISECONDS)
    for (let missing = await missingBytes(); missing > 0;) {
      const bytes = await metadata.retention.removeOldest(missing, CONTENT_BATCH)
      if (bytes === 0) return
      missing -= bytes
      await pause()
    }
  }

  /** The clock of this machine dates its log lines and its requests to a bucket, which refuses those 15 minutes off. */
  function checkClock (now: number): void {
    const seconds = Math.round((Date.now() - now) / 1000)
    if (Math.abs(seconds) < CLOCK_SECONDS) return
    const difference = `${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'}`
    const cause = new Error(`it is ${difference} that of the database; use NTP on both`)
    failures.of('the clock')(new Problem('unavailable', { resource: 'clock', cause }))
  }

  /** The last change that was there when changes were last counted. */
  let countedChangeId = 0

  /**
   * Deletes the oldest changes of accounts with too many, among those that have changed since. With PostgreSQL a lower
   * id can be committed later: its account is found with its next change.
   */
  async function limitChanges (): Promise<void> {
    const changed = new Set<number>()
    let lastId = countedChangeId
    for (;;) {
      const next = await metadata.changes.ownersAfter(lastId, BATCH)
      if (next === undefined) break
      for (const ownerId of next.ownerIds) changed.add(ownerId)
      lastId = next.lastId
      await turn()
    }
    for (const ownerId of changed) {
      await untilNone(() => metadata.changes.removeSurplus(ownerId, BATCH))
      await turn()
    }
    // Now, so that what fails is tried again.
    countedChangeId = lastId
  }

  /** What is done once a minute. */
  async function run (): Promise<void> {
    // Runs first, because the rest fails on a full disk. Retries what a backup or a full disk blocked.
    cleanup.sweep()
    await evictOldest()
    const now = await metadata.now()
    checkClock(now)
    for (const { kind, milliseconds } of EXPIRED_TOKENS) {
      await untilNone(() => metadata.tokens.removeExpired({ kind, before: now - milliseconds }, BATCH))
    }
    await untilNone(() => metadata.attempts.removeOutside({
      since: now - ATTEMPT_MILLISECONDS,
      codesSince: now - CODE_MILLISECONDS,
      until: now + DRIFT_MILLISECONDS,
      limit: BATCH
    }))
    await untilNone(() => metadata.events.removeBefore(now - eventMilliseconds, BATCH))
    await untilNone(() => metadata.links.removeExpired(BATCH))
    await untilNone(() => metadata.uploads.removeExpired(BATCH))
    await untilNone(() => metadata.retention.removeExpired(CONTENT_BATCH))
    await untilNone(() => metadata.locks.removeExpired(BATCH))
    await untilNone(() => metadata.changes.removeExpired(BATCH))
    await limitChanges()
    await untilNone(() => metadata.factors.removeExpired(BATCH))
    await untilNone(() => programConnections.removeExpired(BATCH))
  }
  // A run that fails, on a full disk for example, is repeated a minute later.
  const timer = setInterval(() => { run().catch(failures.of('housekeeping')) }, INTERVAL_MILLISECONDS)
  timer.unref()
  return { run, stop: () => clearInterval(timer) }
}

const pause = (milliseconds = PAUSE_MILLISECONDS) => setTimeout(milliseconds, undefined, { ref: false })

/** Removes batches until there may be no more. */
async function untilNone (removeBatch: () => Promise<boolean>): Promise<void> {
  while (await removeBatch()) await pause()
}

/** Takes the error of a task that no request waits for. */
type FailureObserver = (error: unknown, task: string) => void

/** Failures of work in the background, which is tried again. An operator must be able to see them. */
export class BackgroundFailures {
  #observer: FailureObserver | undefined

  /** Calls `observer` for every failure from now on. */
  watch (observer: FailureObserver): void {
    this.#observer = observer
  }

  /** Returns a function that reports the failure of a task. */
  of (task: string): (error: unknown) => void {
    return error => this.#observer?.(error, task)
  }
}
