import { and, desc, gte, lte } from 'drizzle-orm'
import type { Attempt, AttemptFilter, AttemptLimit } from '../attempt-records.ts'
import { isCounted, type OpenAttempts } from '../attempts.ts'
import type { Engine } from '../engine.ts'
import { type Db, isAny, query, type Rule } from '../rule.ts'

/** Attempts kept in memory because they could not be recorded; 2 MiB. */
const MAX_UNRECORDED = 10_000

/** How long such an attempt is kept; no limit has a longer window, but that of wrong codes. */
const UNRECORDED_MILLISECONDS = 3600 * 1000

/** One process serves this database: its open attempts are in memory, and so end with it. */
export function createOpenAttempts ({ tables: { attempts }, now, read, transact }: Engine): OpenAttempts {
  const open = new Map<number, Attempt>()
  const unrecorded = createUnrecordedAttempts()
  let lastId = 0

  function * timesOf (
    matching: AttemptFilter, { since, until }: { since: number, until: number }, limit: number
  ): Rule<number[]> {
    const rows = yield * query(db => db.select({ at: attempts.at }).from(attempts)
      .where(and(isCounted(matching, attempts), gte(attempts.at, since), lte(attempts.at, until)))
      .orderBy(desc(attempts.at)).limit(limit))
    return rows.map(({ at }) => at)
  }

  /** How many more attempts a limit allows now, and the seconds until it allows one again. */
  function * check (
    { matching, limit, seconds }: AttemptLimit, time: number
  ): Rule<{ remaining: number, retrySeconds: number }> {
    const range = { since: time - seconds * 1000 + 1, until: time }
    const times = [...yield * timesOf(matching, range, limit), ...unrecorded.times(matching, range)].sort((a, b) =>
      b - a)
    const last = times[limit - 1]
    const retrySeconds = last === undefined ? 0 : Math.max(1, Math.ceil((last + seconds * 1000 - time) / 1000))
    const matched = Array.from(open.values()).filter(attempt => matches(attempt, matching)).length
    return { remaining: limit - times.length - matched, retrySeconds }
  }

  return {
    // The counts are read and the attempt is opened in one turn of the event loop, so no other comes between.
    begin: (newAttempt, limits) => read(function * () {
      const attempt = { at: yield * now(), ...newAttempt }
      const checks = []
      for (const limit of limits) checks.push(yield * check(limit, attempt.at))
      const retrySeconds = Math.max(unrecorded.retrySeconds(attempt.at), ...checks.map(check => check.retrySeconds))
      if (retrySeconds > 0) return { state: 'refused', retrySeconds }
      if (checks.some(({ remaining }) => remaining <= 0)) return { state: 'busy' }
      open.set(++lastId, attempt)
      return { state: 'granted', id: lastId }
    }),

    async finish (id, outcome) {
      const { at: _at, ...attempt } = open.get(id) as Attempt
      const { kind, usernameKey, network } = attempt
      try {
        if (outcome === 'failed') {
          const at = await read(now)
          await transact(() => query(db => db.insert(attempts).values({ ...attempt, at })))
            .catch(() => unrecorded.add({ ...attempt, at }))
        } else if (outcome === 'succeeded') {
          unrecorded.clear(attempt)
          const isOfPair = isCounted({ kind, usernameKey, network }, attempts)
          const find = (db: Db) => db.select({ id: attempts.id }).from(attempts).where(isOfPair).limit(1)
          // Usually there is none, and a transaction would cost a sync. Those that can't be deleted (full disk) stay.
          const hasFailed = await read(() => query(find, isAny))
          if (hasFailed) await transact(() => query(db => db.delete(attempts).where(isOfPair))).catch(() => {})
        }
      } finally {
        open.delete(id)
      }
    },

    async removeLapsed () {}
  }
}

/** Failed attempts that the database could not record, because the disk is full: they count all the same. */
function createUnrecordedAttempts () {
  let kept: Attempt[] = []

  return {
    add (attempt: Attempt) { kept.push(attempt) },

    /** The times of matching attempts from `since` to `until`, both inclusive. */
    times: (matching: AttemptFilter, { since, until }: { since: number, until: number }) => kept.filter(attempt =>
      attempt.at >= since && attempt.at <= until && matches(attempt, matching)).map(({ at }) => at),

    /** The seconds for which further attempts must be refused, because no more can be kept; 0 if they can. */
    retrySeconds (now: number): number {
      if (kept.length < MAX_UNRECORDED) return 0
      kept = kept.filter(({ at }) => at > now - UNRECORDED_MILLISECONDS && at <= now)
      if (kept.length < MAX_UNRECORDED) return 0
      const oldest = Math.min(...kept.map(({ at }) => at))
      return Math.ceil((oldest + UNRECORDED_MILLISECONDS - now) / 1000)
    },

    /** Deletes the failures of a kind for a username from a network. */
    clear ({ kind, network, usernameKey }: Pick<Attempt, 'kind' | 'usernameKey' | 'network'>) {
      kept = kept.filter(attempt => !matches(attempt, { kind, network, usernameKey }))
    }
  }
}

/** Whether a limit counts this attempt. */
function matches (attempt: Attempt, matching: AttemptFilter): boolean {
  return Object.entries(matching).every(([field, value]) => attempt[field as keyof Attempt] === value)
}
