import { createHash } from 'node:crypto'
import type { Metadata } from '../metadata/metadata.ts'
import type { Attempt, AttemptFilter } from '../metadata/records.ts'
import { Problem, type FailureCode } from '../problems.ts'

/** Attempts that may wait for others to finish. */
const MAX_WAITING = 256

/** Attempts kept in memory because they could not be recorded; 2 MiB. */
const MAX_UNRECORDED = 10_000

/** How long such an attempt is kept; no limit has a longer window. */
const UNRECORDED_MILLISECONDS = 3600 * 1000

/** At most `limit` matching attempts within `seconds`; a `limit` of 0 means unlimited. */
export interface AttemptLimit { readonly matching: AttemptFilter, readonly limit: number, readonly seconds: number }

export interface AttemptLimiter {
  /**
   * Admits an attempt unless a limit is reached; the returned function releases it when its outcome is known. Only as many
   * attempts run at once as may still fail; the others wait, so parallel attempts can't exceed a limit.
   * @throws `code` with `Retry-After` if a limit is reached or failures can no longer be counted; overloaded if too many attempts wait.
   */
  acquire (limits: readonly AttemptLimit[], code: FailureCode): Promise<() => void>
  /** Counts a failed attempt. Never throws: if it can't be recorded (full disk), it is kept in memory. */
  countFailure (attempt: Attempt): Promise<void>
  /** Clears the failed sign-ins on one account from one network. Never throws: recorded ones stay if the disk is full. */
  clearFailures (usernameKey: string, network: string): Promise<void>
}

/** The key that attempts on a username are counted by. Hashed, because users sometimes type their password as the username. */
export function attemptKey (usernameKey: string): string {
  return createHash('sha256').update(usernameKey).digest('hex')
}

export function createAttemptLimiter (metadata: Metadata): AttemptLimiter {
  const active = new Map<string, number>()
  const waiting: (() => void)[] = []
  let unrecorded: Attempt[] = []
  let releases = 0

  /** How many more attempts a limit allows now, and the seconds until it allows one again. */
  async function check ({ matching, limit, seconds }: AttemptLimit): Promise<{ remaining: number, retrySeconds: number }> {
    const now = Date.now()
    const since = now - seconds * 1000 + 1
    // Attempts in the future are from before the clock was set back; they would count for too long.
    const recorded = await metadata.attemptTimes(matching, { since, until: now, limit })
    const others = unrecorded.filter(attempt => attempt.at >= since && attempt.at <= now && matches(attempt, matching)).map(({ at }) => at)
    const times = [...recorded, ...others].sort((a, b) => b - a)
    const last = times[limit - 1]
    const retrySeconds = last === undefined ? 0 : Math.max(1, Math.ceil((last + seconds * 1000 - now) / 1000))
    return { remaining: limit - times.length, retrySeconds }
  }

  /** Refuses further attempts while memory holds as many unrecorded ones as it may. */
  function refuseUncountable (code: FailureCode): void {
    if (unrecorded.length < MAX_UNRECORDED) return
    const now = Date.now()
    unrecorded = unrecorded.filter(({ at }) => at > now - UNRECORDED_MILLISECONDS && at <= now)
    if (unrecorded.length < MAX_UNRECORDED) return
    const oldest = Math.min(...unrecorded.map(({ at }) => at))
    throw new Problem(code, { headers: { 'retry-after': String(Math.ceil((oldest + UNRECORDED_MILLISECONDS - now) / 1000)) } })
  }

  function changeActive (key: string, change: 1 | -1): void {
    const count = (active.get(key) ?? 0) + change
    if (count > 0) active.set(key, count)
    else active.delete(key)
  }

  return {
    async acquire (limits, code) {
      refuseUncountable(code)
      const applied = limits.filter(({ limit }) => limit > 0).map(limit => ({ limit, key: JSON.stringify(limit.matching) }))
      for (;;) {
        const releasesBefore = releases
        const checks = await Promise.all(applied.map(async ({ limit, key }) => ({ key, ...await check(limit) })))
        const retrySeconds = Math.max(0, ...checks.map(check => check.retrySeconds))
        if (retrySeconds > 0) throw new Problem(code, { headers: { 'retry-after': String(retrySeconds) } })
        // The counts may miss the failure of an attempt that was released while they were read.
        if (releases !== releasesBefore) continue
        if (checks.every(({ key, remaining }) => (active.get(key) ?? 0) < remaining)) break
        if (waiting.length >= MAX_WAITING) throw new Problem('overloaded', { headers: { 'retry-after': '1' } })
        await new Promise<void>(resolve => waiting.push(resolve))
      }
      for (const { key } of applied) changeActive(key, 1)
      return () => {
        releases++
        for (const { key } of applied) changeActive(key, -1)
        for (const resume of waiting.splice(0)) resume()
      }
    },

    async countFailure (attempt) {
      await metadata.addAttempt(attempt).catch(() => { unrecorded.push(attempt) })
    },

    async clearFailures (usernameKey, network) {
      const matching = { kind: 'sign_in', network, usernameKey } as const
      unrecorded = unrecorded.filter(attempt => !matches(attempt, matching))
      const [last] = await metadata.attemptTimes(matching, { since: 0, until: Number.MAX_SAFE_INTEGER, limit: 1 })
      if (last !== undefined) await metadata.clearAttempts(usernameKey, network).catch(() => {})
    }
  }
}

function matches (attempt: Attempt, matching: AttemptFilter): boolean {
  return Object.entries(matching).every(([field, value]) => attempt[field as keyof Attempt] === value)
}
