import { and, desc, eq, gte, inArray, lt, lte, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { AttemptFilter, Metadata } from '../metadata.ts'
import type { Committer } from './committer.ts'
import { accountNetworks, accounts, attempts, events } from './schema.ts'

type AttemptActs = Pick<Metadata, 'addAttempt' | 'attemptTimes' | 'forgiveAttempts' | 'removeAttempts' | 'isKnownNetwork' | 'addKnownNetwork' | 'addEvent' | 'listEvents'>

export function createAttemptActs (db: BetterSQLite3Database, { commit }: Committer): AttemptActs {
  const known = db.select({ network: accountNetworks.network }).from(accountNetworks)
    .innerJoin(accounts, eq(accounts.id, accountNetworks.accountId))
    .where(and(eq(accounts.usernameKey, sql.placeholder('usernameKey')), eq(accountNetworks.network, sql.placeholder('network')))).prepare()

  const insertEvent = db.insert(events)
    .values({ accountId: sql.placeholder('accountId'), kind: sql.placeholder('kind'), network: sql.placeholder('network'), requestId: sql.placeholder('requestId'), at: sql.placeholder('at') }).prepare()
  const oldestEvent = db.select({ id: events.id }).from(events).where(eq(events.accountId, sql.placeholder('accountId')))
    .orderBy(desc(events.id)).limit(1).offset(sql.placeholder('keep')).prepare()
  const deleteEvents = db.delete(events).where(and(eq(events.accountId, sql.placeholder('accountId')), lte(events.id, sql.placeholder('lastId')))).prepare()
  // To build a statement takes Drizzle ten times as long as to run it; every sign-in asks in two or three of these shapes.
  const shapes = new Map<string, ReturnType<typeof prepareTimes>>()

  function prepareTimes (matching: AttemptFilter) {
    return db.select({ at: attempts.at }).from(attempts)
      .where(and(
        eq(attempts.kind, sql.placeholder('kind')),
        'network' in matching ? eq(attempts.network, sql.placeholder('network')) : undefined,
        'usernameKey' in matching ? eq(attempts.usernameKey, sql.placeholder('usernameKey')) : undefined,
        'isKnownNetwork' in matching ? eq(attempts.isKnownNetwork, false) : undefined,
        gte(attempts.at, sql.placeholder('since'))
      )).orderBy(desc(attempts.at)).limit(sql.placeholder('limit')).prepare()
  }

  function timesOf (matching: AttemptFilter): ReturnType<typeof prepareTimes> {
    const shape = Object.keys(matching).join()
    const statement = shapes.get(shape) ?? prepareTimes(matching)
    shapes.set(shape, statement)
    return statement
  }

  return {
    addAttempt: attempt => commit(() => { db.insert(attempts).values(attempt).run() }),

    attemptTimes: async (matching, { since, limit }) => timesOf(matching).all({ ...matching, since, limit }).map(row => row.at),

    forgiveAttempts: (usernameKey, network) => commit(() => {
      db.delete(attempts).where(and(eq(attempts.kind, 'sign_in'), eq(attempts.usernameKey, usernameKey), eq(attempts.network, network))).run()
    }),

    removeAttempts: (before, limit) => commit(() =>
      db.delete(attempts).where(inArray(attempts.id, db.select({ id: attempts.id }).from(attempts).where(lt(attempts.at, before)).limit(limit))).run().changes === limit),

    isKnownNetwork: async (usernameKey, network) => known.get({ usernameKey, network }) !== undefined,

    addKnownNetwork: (accountId, network, at) => commit(() =>
      db.insert(accountNetworks).values({ accountId, network, firstAt: at }).onConflictDoNothing().run().changes > 0),

    addEvent: (event, keep) => commit(() => {
      insertEvent.run({ ...event })
      const oldest = oldestEvent.get({ accountId: event.accountId, keep })
      if (oldest !== undefined) deleteEvents.run({ accountId: event.accountId, lastId: oldest.id })
    }),

    listEvents: async (accountId, { beforeId, limit }) => db.select().from(events)
      .where(and(eq(events.accountId, accountId), beforeId === undefined ? undefined : lt(events.id, beforeId)))
      .orderBy(desc(events.id)).limit(limit).all()
  }
}
