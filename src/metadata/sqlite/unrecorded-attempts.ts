import type { Attempt, AttemptFilter } from '../records.ts'

/** Attempts kept in memory because they could not be recorded; 2 MiB. */
const MAX_UNRECORDED = 10_000

/** How long such an attempt is kept; no limit has a longer window. */
const UNRECORDED_MILLISECONDS = 3600 * 1000

/** Failed attempts that the database could not record, because the disk is full: they count all the same. */
export interface UnrecordedAttempts {
  add (attempt: Attempt): void
  /** The times of matching attempts from `since` to `until`, both inclusive. */
  times (matching: AttemptFilter, range: { since: number, until: number }): number[]
  /** While no more can be kept, further attempts must be refused for so many seconds; else 0. */
  retrySeconds (now: number): number
  /** Deletes the failed sign-ins for a username from a network. */
  clear (usernameKey: string, network: string): void
}

export function createUnrecordedAttempts (): UnrecordedAttempts {
  let kept: Attempt[] = []

  return {
    add (attempt) { kept.push(attempt) },

    times: (matching, { since, until }) => kept.filter(attempt => attempt.at >= since && attempt.at <= until && matches(attempt, matching)).map(({ at }) => at),

    retrySeconds (now) {
      if (kept.length < MAX_UNRECORDED) return 0
      kept = kept.filter(({ at }) => at > now - UNRECORDED_MILLISECONDS && at <= now)
      if (kept.length < MAX_UNRECORDED) return 0
      const oldest = Math.min(...kept.map(({ at }) => at))
      return Math.ceil((oldest + UNRECORDED_MILLISECONDS - now) / 1000)
    },

    clear (usernameKey, network) {
      kept = kept.filter(attempt => !matches(attempt, { kind: 'sign_in', network, usernameKey }))
    }
  }
}

/** Whether a limit counts this attempt. */
export function matches (attempt: Attempt, matching: AttemptFilter): boolean {
  return Object.entries(matching).every(([field, value]) => attempt[field as keyof Attempt] === value)
}
