import { and, desc, lte, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { limitedTo } from './paging.ts'
import type { KeptEvents, NewEvent } from './records.ts'
import { matching, placeholder, placeholders, prepared, query, type Rule } from './rule.ts'

/**
 * Adds an event in the current transaction, and deletes most of its kind that are not kept: what happens often must not
 * push out what is rare.
 */
export type WriteEvent = (event: NewEvent, keep: KeptEvents) => Rule<void>

/** To count the events of an account, all of them are read. That is done about so often while as many are added. */
const COUNTS = 100

export function createEventWriter ({ tables: { events, accounts }, now }: Pick<Engine, 'tables' | 'now'>): WriteEvent {
  const insert = prepared('add_event', db => db.insert(events).values({
    ...placeholders('accountId', 'kind', 'details', 'network', 'requestId', 'at'),
    username: sql`coalesce(cast(${placeholder('username')} as text), (select ${accounts.username} from ${accounts} where ${accounts.id} = ${placeholder('accountId')}))`
  }))
  const ofAccount = matching(events, 'accountId')
  const ofKind = and(ofAccount, matching(events, 'kind'))
  const newestSurplus = prepared('newest_surplus_event', db => db.select({ id: events.id }).from(events).where(ofAccount)
    .orderBy(limitedTo(desc(events.id), 1, placeholder('all'))))
  const newestOfKind = prepared('newest_surplus_of_kind', db => db.select({ id: events.id }).from(events).where(ofKind)
    .orderBy(limitedTo(desc(events.id), 1, placeholder('ofKind'))))
  const removeUpTo = prepared('remove_events', db => db.delete(events).where(and(ofKind, lte(events.id, placeholder('lastId')))))

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
