import { and, desc, eq, lte, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { limitedTo } from './paging.ts'
import type { KeptEvents, NewEvent } from './records.ts'
import { query, reading, type Rule, writing } from './rule.ts'

const { placeholder } = sql

/**
 * Adds an event in the current transaction, and deletes most of its kind that are not kept: what happens often must not
 * push out what is rare.
 */
export type WriteEvent = (event: NewEvent, keep: KeptEvents) => Rule<void>

/** To count the events of an account, all of them are read. That is done about so often while as many are added. */
const COUNTS = 100

export function createEventWriter ({ tables: { events, accounts }, now }: Pick<Engine, 'tables' | 'now'>): WriteEvent {
  const insert = writing('add_event', db => db.insert(events).values({
    accountId: placeholder('accountId'),
    username: sql`coalesce(cast(${placeholder('username')} as text), (select ${accounts.username} from ${accounts} where ${accounts.id} = ${placeholder('accountId')}))`,
    kind: placeholder('kind'),
    details: placeholder('details'),
    network: placeholder('network'),
    requestId: placeholder('requestId'),
    at: placeholder('at')
  }))
  const ofAccount = eq(events.accountId, placeholder('accountId'))
  const ofKind = and(ofAccount, eq(events.kind, placeholder('kind')))
  const newestSurplus = reading('newest_surplus_event', db => db.select({ id: events.id }).from(events).where(ofAccount)
    .orderBy(limitedTo(desc(events.id), 1, placeholder('all'))))
  const newestOfKind = reading('newest_surplus_of_kind', db => db.select({ id: events.id }).from(events).where(ofKind)
    .orderBy(limitedTo(desc(events.id), 1, placeholder('ofKind'))))
  const removeUpTo = writing('remove_events', db => db.delete(events).where(and(ofKind, lte(events.id, placeholder('lastId')))))

  return function * ({ accountId, username = null, details = null, ...event }, keep) {
    const at = event.at ?? (yield * now())
    yield * query(insert, { ...event, accountId, username, details, at })
    if (accountId === null || Math.random() > COUNTS / keep.all) return
    const { kind } = event
    const [surplus] = yield * query(newestSurplus, { accountId, all: keep.all })
    if (surplus === undefined) return
    const [surplusOfKind] = yield * query(newestOfKind, { accountId, kind, ofKind: keep.ofKind })
    if (surplusOfKind === undefined) return
    yield * query(removeUpTo, { accountId, kind, lastId: Math.min(surplus.id, surplusOfKind.id) })
  }
}
