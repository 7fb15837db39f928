import { and, desc, eq, lt, lte, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import type { EventRepository } from './metadata.ts'
import { limitedTo } from './paging.ts'
import type { NewEvent } from './records.ts'
import { ask, reading, writing, type Rule } from './rule.ts'

const { placeholder } = sql

/** Adds an event in the current transaction, and deletes all but the latest `keep` of its account. */
export type WriteEvent = (event: NewEvent, keep: number) => Rule<void>

export function createEventWriter ({ tables: { events }, now }: Pick<Engine, 'tables' | 'now'>): WriteEvent {
  const insert = writing('add_event', db => db.insert(events).values({
    accountId: placeholder('accountId'),
    kind: placeholder('kind'),
    network: placeholder('network'),
    requestId: placeholder('requestId'),
    at: placeholder('at')
  }))
  const newestSurplus = reading('newest_surplus_event', db => db.select({ id: events.id }).from(events).where(eq(events.accountId, placeholder('accountId')))
    .orderBy(limitedTo(desc(events.id), 1, placeholder('keep'))))
  const removeUpTo = writing('remove_events', db => db.delete(events).where(and(eq(events.accountId, placeholder('accountId')), lte(events.id, placeholder('lastId')))))

  return function * (event, keep) {
    yield * ask(insert, { ...event, at: event.at ?? (yield * now()) })
    const [surplus] = yield * ask(newestSurplus, { accountId: event.accountId, keep })
    if (surplus !== undefined) yield * ask(removeUpTo, { accountId: event.accountId, lastId: surplus.id })
  }
}

export function createEventRepository (
  { tables: { events }, read, transactFor }: Engine, writeEvent: WriteEvent
): EventRepository {
  return {
    add: (event, keep) => transactFor(event.accountId, () => writeEvent(event, keep)),

    list: (accountId, { beforeId, limit }) => read(() => ask(reading('', db => db.select().from(events)
      .where(and(eq(events.accountId, accountId), beforeId === undefined ? undefined : lt(events.id, beforeId)))
      .orderBy(desc(events.id)).limit(limit))))
  }
}
