import { and, count, desc, eq, gt, inArray, lte, type SQL, sql } from 'drizzle-orm'
import { Problem } from '../../problems.ts'
import type { AttemptLimit } from '../attempt-records.ts'
import { isCounted, type OpenAttempts } from '../attempts.ts'
import type { Engine } from '../engine.ts'
import { type Db, pipeline, placeholder, prepared, query } from '../rule.ts'
import { attempts, openAttempts } from './schema.ts'

/** How long an open attempt counts if its process does not finish it. Checking a password takes a second at most. */
const OPEN_MILLISECONDS = 60_000

/**
 * A failure that another process recorded is in the future if its clock is ahead, or if this attempt has waited for a
 * connection. One that is later than this is from before the clock was set back.
 */
const SKEW_MILLISECONDS = 60_000

/** Any number of processes serve this database: their open attempts are in a table. */
export function createOpenAttempts ({ apply, clock, transactFor }: Engine): OpenAttempts {
  // Attempts that one limit counts share the network or the username. Sorted, so that none wait for each other.
  const { lock } = prepared('attempts', {
    lock: db => db.select({ locked: sql`pg_advisory_xact_lock(key)` }).from(sql`(
    SELECT hashtextextended(shared, 0) AS key FROM unnest(ARRAY[
      ${placeholder('kind')}::text || ' network ' || ${placeholder('network')}::text,
      ${placeholder('kind')}::text || ' username ' || ${placeholder('usernameKey')}::text]) shared ORDER BY 1) keys`)
  })

  /**
   * The failures that a limit counts and the open attempts that may become some, as of one moment: one that is
   * finished meanwhile is one of the two.
   */
  const counts = ({ matching, limit, seconds }: AttemptLimit, time: SQL<number>) => (db: Db) => {
    const latest = db.select({ at: attempts.at }).from(attempts)
      .where(and(
        isCounted(matching, attempts),
        gt(attempts.at, sql`${time} - cast(${seconds * 1000} AS bigint)`),
        lte(attempts.at, sql`${time} + cast(${SKEW_MILLISECONDS} AS bigint)`)
      )).orderBy(desc(attempts.at)).limit(limit).as('latest')
    const open = db.select({ count: count() }).from(openAttempts)
      .where(and(isCounted(matching, openAttempts), gt(openAttempts.expiresAt, clock)))
    return db.select({
      failed: count(),
      earliest: sql`min(${latest.at})`.mapWith(Number),
      open: sql`(${open})`.mapWith(Number),
      time: time.mapWith(Number)
    }).from(latest)
  }

  return {
    begin: (attempt, limits) => transactFor(attempt.network, function * () {
      const { at, ...opened } = attempt
      const { kind, network, usernameKey } = attempt
      const time = at === undefined ? clock : sql<number>`cast(${at} AS bigint)`
      const [, ...found] = yield * pipeline(
        lock({ kind, network, usernameKey }),
        ...limits.map(limit => query(counts(limit, time), ([row]) => row as NonNullable<typeof row>))
      )
      const retries = found.map(({ failed, earliest, time }, index) => {
        const { limit, seconds } = limits[index] as AttemptLimit
        return failed < limit ? 0 : Math.max(1, Math.ceil((earliest + seconds * 1000 - time) / 1000))
      })
      const retrySeconds = Math.max(0, ...retries)
      if (retrySeconds > 0) return { state: 'refused', retrySeconds }
      const isBusy = found.some(({ failed, open }, index) => failed + open >= Number(limits[index]?.limit))
      if (isBusy) return { state: 'busy' }
      const [row] = yield * query(db => db.insert(openAttempts)
        .values({ ...opened, expiresAt: sql`${clock} + ${OPEN_MILLISECONDS}` }).returning({ id: openAttempts.id }))
      return { state: 'granted', id: Number(row?.id) }
    }),

    async finish (id, outcome) {
      // While nothing can be recorded, none can begin either. One that stays open counts until it expires.
      await transactFor(`attempt ${id}`, function * () {
        const [open] = yield * query(db => db.delete(openAttempts).where(eq(openAttempts.id, id)).returning())
        if (open === undefined) return
        const { id: _id, expiresAt: _expiresAt, ...attempt } = open
        const { kind, network, usernameKey } = attempt
        if (outcome === 'failed') {
          yield * query(db => db.insert(attempts).values({ ...attempt, at: clock }))
        } else if (outcome === 'succeeded') {
          yield * query(db => db.delete(attempts).where(isCounted({ kind, usernameKey, network }, attempts)))
        }
      }).catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error
      })
    },

    removeLapsed: limit => apply(() => query(db => db.delete(openAttempts).where(inArray(openAttempts.id,
      db.select({ id: openAttempts.id }).from(openAttempts).where(lte(openAttempts.expiresAt, clock)).limit(limit)
    )), () => {}))
  }
}
