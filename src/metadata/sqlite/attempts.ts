import { and, desc, eq, gt, gte, inArray, lt, lte, or, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { Metadata } from '../metadata.ts'
import type { AttemptFilter } from '../records.ts'
import type { Committer } from './committer.ts'
import { limitedTo } from './paging.ts'
import { accountNetworks, accounts, attempts } from './schema.ts'

type AttemptRepository = Pick<Metadata,
  'addAttempt' | 'attemptTimes' | 'clearAttempts' | 'removeAttempts' | 'isKnownNetwork' | 'addKnownNetwork'
>

export function createAttemptRepository (db: BetterSQLite3Database, { commit, read }: Committer): AttemptRepository {
  const known = db.select({ network: accountNetworks.network }).from(accountNetworks)
    .innerJoin(accounts, eq(accounts.id, accountNetworks.accountId))
    .where(and(eq(accounts.usernameKey, sql.placeholder('usernameKey')), eq(accountNetworks.network, sql.placeholder('network')))).prepare()

  // Building a statement takes Drizzle ten times as long as running it, and every sign-in runs two or three of these.
  const statements = new Map<string, ReturnType<typeof prepareTimes>>()

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

  return {
    addAttempt: attempt => commit(() => { db.insert(attempts).values(attempt).run() }),

    attemptTimes: (matching, range) => read(() => timesOf(matching).all({ ...matching, ...range }).map(row => row.at)),

    clearAttempts: (usernameKey, network) => commit(() => {
      db.delete(attempts).where(and(
        eq(attempts.kind, 'sign_in'),
        eq(attempts.usernameKey, usernameKey),
        eq(attempts.network, network)
      )).run()
    }),

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
