import { and, desc, eq, lt, lte, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { Metadata } from '../metadata.ts'
import type { NewEvent } from '../records.ts'
import type { Committer } from './committer.ts'
import { limitedTo } from './paging.ts'
import { events } from './schema.ts'

/** Adds an event inside the current transaction, and deletes all but the latest `keep` of its account. */
export type WriteEvent = (event: NewEvent, keep: number) => void

export function createEventWriter (db: BetterSQLite3Database): WriteEvent {
  const insert = db.insert(events)
    .values({
      accountId: sql.placeholder('accountId'),
      kind: sql.placeholder('kind'),
      network: sql.placeholder('network'),
      requestId: sql.placeholder('requestId'),
      at: sql.placeholder('at')
    }).prepare()
  const newestToRemove = db.select({ id: events.id }).from(events).where(eq(events.accountId, sql.placeholder('accountId')))
    .orderBy(limitedTo(desc(events.id), 1, sql.placeholder('keep'))).prepare()
  const removeUpTo = db.delete(events).where(and(
    eq(events.accountId, sql.placeholder('accountId')),
    lte(events.id, sql.placeholder('lastId'))
  )).prepare()

  return (event, keep) => {
    insert.run({ at: Date.now(), ...event })
    const newest = newestToRemove.get({ accountId: event.accountId, keep })
    if (newest !== undefined) removeUpTo.run({ accountId: event.accountId, lastId: newest.id })
  }
}

export function createEventRepository (
  db: BetterSQLite3Database,
  { commit, read }: Committer,
  writeEvent: WriteEvent
): Pick<Metadata, 'addEvent' | 'listEvents'> {
  return {
    addEvent: (event, keep) => commit(() => writeEvent(event, keep)),

    listEvents: (accountId, { beforeId, limit }) => read(() => db.select().from(events)
      .where(and(eq(events.accountId, accountId), beforeId === undefined ? undefined : lt(events.id, beforeId)))
      .orderBy(desc(events.id)).limit(limit).all())
  }
}
