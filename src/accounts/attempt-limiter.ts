import { createHash } from 'node:crypto'
import type { Metadata } from '../metadata/metadata.ts'
import type { Attempt, AttemptFilter } from '../metadata/records.ts'
import { Problem, type FailureCode } from '../problems.ts'

/** Attempts that wait for others to end, at the most. */
const MAX_WAITING = 256

/** Attempts that could not be recorded, at the most: 2 MiB of them. */
const MAX_UNRECORDED = 10_000

/** An attempt that could not be recorded is remembered for so long, which no rule exceeds. */
const UNRECORDED_MILLISECONDS = 3600 * 1000

/** No more than `limit` attempts that match within `seconds`; a `limit` of 0 counts nothing. */
export interface AttemptLimit { readonly matching: AttemptFilter, readonly limit: number, readonly seconds: number }

export interface AttemptLimiter {
  /**
   * Lets an attempt through if no rule is spent, and resolves with what is to be called when it is over. Near a limit
   * attempts go one by one: none slips through while the outcome of another is open.
   * @throws `code` with `Retry-After` where a rule is spent, or no further attempt could be counted; overloaded where too many wait.
   */
  enter (rules: readonly AttemptLimit[], code: FailureCode): Promise<() => void>
  /** Counts an attempt that failed. Never fails: what can't be recorded, as on a full disk, counts from memory until the process ends. */
  count (attempt: Attempt): Promise<void>
  /** Forgets the failed sign-ins of one person from one network, as far as that can be recorded. */
  forgive (usernameKey: string, network: string): Promise<void>
}

/** What attempts at a username are counted under. Not the name itself: people type their password there. */
export function attemptKey (usernameKey: string): string {
  return createHash('sha256').update(usernameKey).digest('hex')
}

export function createAttemptLimiter (metadata: Metadata): AttemptLimiter {
  const inside = new Map<string, number>()
  const waiting: (() => void)[] = []
  let unrecorded: Attempt[] = []
  // Attempts that are over; one that ends while the counts are being read may not be among them yet.
  let ended = 0

  /** The tightest room that the rules leave, or the seconds until there is some. */
  async function look ({ matching, limit, seconds }: AttemptLimit): Promise<{ room: number, retrySeconds: number }> {
    const now = Date.now()
    const since = now - seconds * 1000 + 1
    // What is later than now is from before the clock was set back, and would count for as long as that was.
    const recorded = await metadata.attemptTimes(matching, { since, until: now, limit })
    const remembered = unrecorded.filter(attempt => attempt.at >= since && attempt.at <= now && matches(attempt, matching)).map(({ at }) => at)
    const times = [...recorded, ...remembered].sort((a, b) => b - a)
    const last = times[limit - 1]
    return { room: limit - times.length, retrySeconds: last === undefined ? 0 : Math.max(1, Math.ceil((last + seconds * 1000 - now) / 1000)) }
  }

  /** Each that can't be recorded is remembered, so that no more come in than can be remembered. */
  function refuseUncountable (code: FailureCode): void {
    if (unrecorded.length < MAX_UNRECORDED) return
    const now = Date.now()
    unrecorded = unrecorded.filter(({ at }) => at > now - UNRECORDED_MILLISECONDS && at <= now)
    if (unrecorded.length < MAX_UNRECORDED) return
    const oldest = Math.min(...unrecorded.map(({ at }) => at))
    throw new Problem(code, { headers: { 'retry-after': String(Math.ceil((oldest + UNRECORDED_MILLISECONDS - now) / 1000)) } })
  }

  return {
    async enter (rules, code) {
      refuseUncountable(code)
      const counted = rules.filter(({ limit }) => limit > 0).map(rule => ({ rule, key: JSON.stringify(rule.matching) }))
      for (;;) {
        const endedBefore = ended
        const views = await Promise.all(counted.map(async ({ rule, key }) => ({ key, ...await look(rule) })))
        const retrySeconds = Math.max(0, ...views.map(view => view.retrySeconds))
        if (retrySeconds > 0) throw new Problem(code, { headers: { 'retry-after': String(retrySeconds) } })
        if (ended !== endedBefore) continue
        if (views.every(({ key, room }) => (inside.get(key) ?? 0) < room)) break
        if (waiting.length >= MAX_WAITING) throw new Problem('overloaded', { headers: { 'retry-after': '1' } })
        await new Promise<void>(resolve => waiting.push(resolve))
      }
      for (const { key } of counted) inside.set(key, (inside.get(key) ?? 0) + 1)
      return () => {
        ended++
        for (const { key } of counted) {
          const count = Number(inside.get(key)) - 1
          if (count > 0) inside.set(key, count)
          else inside.delete(key)
        }
        for (const wake of waiting.splice(0)) wake()
      }
    },

    async count (attempt) {
      await metadata.addAttempt(attempt).catch(() => { unrecorded.push(attempt) })
    },

    async forgive (usernameKey, network) {
      unrecorded = unrecorded.filter(attempt => !matches(attempt, { kind: 'sign_in', usernameKey, network }))
      const [last] = await metadata.attemptTimes({ kind: 'sign_in', network, usernameKey }, { since: 0, until: Number.MAX_SAFE_INTEGER, limit: 1 })
      if (last !== undefined) await metadata.clearAttempts(usernameKey, network).catch(() => {})
    }
  }
}

function matches (attempt: Attempt, matching: AttemptFilter): boolean {
  return Object.entries(matching).every(([fact, value]) => attempt[fact as keyof Attempt] === value)
}
