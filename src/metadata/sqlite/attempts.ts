import { and, desc, eq, gt, gte, inArray, lt, lte, or, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { Metadata } from '../metadata.ts'
import type { Attempt, AttemptFilter, AttemptLimit } from '../records.ts'
import type { Committer } from './committer.ts'
import { limitedTo } from './paging.ts'
import { accountNetworks, accounts, attempts } from './schema.ts'

type AttemptRepository = Pick<Metadata,
  'claimAttempt' | 'finishAttempt' | 'removeAttempts' | 'isKnownNetwork' | 'addKnownNetwork'
>

/** Attempts kept in memory because they could not be recorded; 2 MiB. */
const MAX_UNRECORDED = 10_000

/** How long such an attempt is kept; no limit has a longer window. */
const UNRECORDED_MILLISECONDS = 3600 * 1000

/** Failed attempts that the database could not record, because the disk is full: they count all the same. */
interface UnrecordedAttempts {
  add (attempt: Attempt): void
  /** The times of matching attempts from `since` to `until`, both inclusive. */
  times (matching: AttemptFilter, range: { since: number, until: number }): number[]
  /** The seconds for which further attempts must be refused, because no more can be kept; 0 if they can. */
  retrySeconds (now: number): number
  /** Deletes the failed sign-ins for a username from a network. */
  clear (usernameKey: string, network: string): void
}

/** One process serves this database: its claims are in memory, and so lapse with it. */
export function createAttemptRepository (db: BetterSQLite3Database, { commit, read }: Committer): AttemptRepository {
  const known = db.select({ network: accountNetworks.network }).from(accountNetworks)
    .innerJoin(accounts, eq(accounts.id, accountNetworks.accountId))
    .where(and(eq(accounts.usernameKey, sql.placeholder('usernameKey')), eq(accountNetworks.network, sql.placeholder('network')))).prepare()

  const isOfPair = and(eq(attempts.kind, 'sign_in'), eq(attempts.usernameKey, sql.placeholder('usernameKey')), eq(attempts.network, sql.placeholder('network')))
  const failures = db.select({ id: attempts.id }).from(attempts).where(isOfPair).prepare()
  const removeFailures = db.delete(attempts).where(isOfPair).prepare()

  // Building a statement takes Drizzle ten times as long as running it, and every sign-in runs two or three of these.
  const statements = new Map<string, ReturnType<typeof prepareTimes>>()
  const claims = new Map<number, Attempt>()
  const unrecorded = createUnrecordedAttempts()
  let lastClaim = 0

  function prepareTimes (matching: AttemptFilter) {
    return db.select({ at: attempts.at }).from(attempts)
      .where(and(
        eq(attempts.kind, sql.placeholder('kind')),
        'network' in matching ? eq(attempts.network, sql.placeholder('network')) : undefined,
        'usernameKey' in matching ? eq(attempts.usernameKey, sql.placeholder('usernameKey')) : undefined,
        'isKnownNetwork' in matching ? eq(attempts.isKnownNetwork, false) : undefined,
        gte(attempts.at, sql.placeholder('since')),
        lte(attempts.at, sql.placeholder('until'))
      )).orderBy(limitedTo(desc(attempts.at), sql.placeholder('limit'))).prepare()
  }

  function timesOf (matching: AttemptFilter): ReturnType<typeof prepareTimes> {
    const fields = Object.keys(matching).join()
    const statement = statements.get(fields) ?? prepareTimes(matching)
    statements.set(fields, statement)
    return statement
  }

  /** How many more attempts a limit allows now, and the seconds until it allows one again. */
  function check ({ matching, limit, seconds }: AttemptLimit, now: number): { remaining: number, retrySeconds: number } {
    const range = { since: now - seconds * 1000 + 1, until: now }
    const recorded = timesOf(matching).all({ ...matching, ...range, limit }).map(row => row.at)
    const times = [...recorded, ...unrecorded.times(matching, range)].sort((a, b) => b - a)
    const last = times[limit - 1]
    const retrySeconds = last === undefined ? 0 : Math.max(1, Math.ceil((last + seconds * 1000 - now) / 1000))
    const claimed = Array.from(claims.values()).filter(claim => matches(claim, matching)).length
    return { remaining: limit - times.length - claimed, retrySeconds }
  }

  return {
    // The counts are read and the claim is made in one turn of the event loop, so no other attempt comes between.
    claimAttempt: (newAttempt, limits) => read(() => {
      const attempt = { at: Date.now(), ...newAttempt }
      const checks = limits.map(limit => check(limit, attempt.at))
      const retrySeconds = Math.max(unrecorded.retrySeconds(attempt.at), ...checks.map(check => check.retrySeconds))
      if (retrySeconds > 0) return { state: 'refused', retrySeconds }
      if (checks.some(({ remaining }) => remaining <= 0)) return { state: 'busy' }
      claims.set(++lastClaim, attempt)
      return { state: 'granted', id: lastClaim }
    }),

    async finishAttempt (claimId, outcome, now = Date.now()) {
      const { usernameKey, network, ...attempt } = claims.get(claimId) as Attempt
      try {
        if (outcome === 'failed') {
          const failure = { ...attempt, usernameKey, network, at: now }
          await commit(() => { db.insert(attempts).values(failure).run() }).catch(() => unrecorded.add(failure))
        } else if (outcome === 'succeeded') {
          unrecorded.clear(usernameKey, network)
          // Usually there is none, and a transaction would cost a sync. Those that can't be deleted (full disk) stay.
          const hasFailed = await read(() => failures.get({ usernameKey, network })) !== undefined
          if (hasFailed) await commit(() => { removeFailures.run({ usernameKey, network }) }).catch(() => {})
        }
      } finally {
        claims.delete(claimId)
      }
    },

    removeAttempts: ({ since, until, limit }) => commit(() =>
      db.delete(attempts).where(inArray(
        attempts.id,
        db.select({ id: attempts.id }).from(attempts).where(or(lt(attempts.at, since), gt(attempts.at, until))).limit(limit)
      )).run().changes === limit),

    isKnownNetwork: (usernameKey, network) => read(() => known.get({ usernameKey, network }) !== undefined),

    addKnownNetwork: (accountId, network, at) => commit(() =>
      db.insert(accountNetworks).values({ accountId, network, firstAt: at }).onConflictDoNothing().run().changes > 0)
  }
}

function createUnrecordedAttempts (): UnrecordedAttempts {
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
function matches (attempt: Attempt, matching: AttemptFilter): boolean {
  return Object.entries(matching).every(([field, value]) => attempt[field as keyof Attempt] === value)
}
