import {
  and, asc, desc, eq, getTableColumns, gt, gte, inArray, isNull, lt, lte, max, notInArray, or, type SQL, sql
} from 'drizzle-orm'
import type { EventRecord, EventSelection, KeptEvents, NewEvent } from './records.ts'
import { type Db, first, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'
import type { Engine } from './engine.ts'

/** Counting reads all events of an account, so it runs about so often per `keep.all` insertions. */
const COUNTS = 100

/**
 * What adds an event in the current transaction, and deletes most of its kind that are not kept: what happens often
 * must not push out what is rare.
 */
export type EventWriter = ReturnType<typeof createEventWriter>

export function createEventWriter ({ tables: { accounts, events }, now }: Engine) {
  const idOf = (db: Db, condition: SQL | undefined) => db.select({ id: events.id }).from(events).where(condition)
    .orderBy(desc(events.id)).limit(1)

  return function * (
    { accountId, username = null, at, ...event }: NewEvent, keep: KeptEvents
  ): Rule<void> {
    const values = {
      ...event,
      accountId,
      at: at ?? (yield * now()),
      username: sql`coalesce(cast(${username} as text), (select ${accounts.username} from ${accounts}
        where ${accounts.id} = ${accountId}))`
    }
    yield * query(db => db.insert(events).values(values))
    if (accountId === null || Math.random() > COUNTS / keep.all) return
    const ofAccount = eq(events.accountId, accountId)
    const ofKind = and(ofAccount, eq(events.kind, event.kind))
    const [surplus] = yield * query(db => idOf(db, ofAccount).offset(keep.all))
    if (surplus === undefined) return
    const [surplusOfKind] = yield * query(db => idOf(db, ofKind).offset(keep.ofKind))
    if (surplusOfKind === undefined) return
    const lastId = Math.min(surplus.id, surplusOfKind.id)
    yield * query(db => db.delete(events).where(and(ofKind, lte(events.id, lastId))))
  }
}

/** The security events of the accounts and of the whole store: a part of the contract of {@link Metadata}. */
export type EventRepository = ReturnType<typeof createEvents>

export function createEvents ({ engine, writeEvent, read }: Services) {
  const { tables: { accounts, events }, transact, apply } = engine

  return {
    /** Adds an event. If its account has more than are kept, removes some of its kind. */
    add: (event: NewEvent, keep: KeptEvents): Promise<void> => transact(() => writeEvent(event, keep)),

    /** Latest first: at most `limit` events of an account with an id below `beforeId`. */
    list: read((
      accountId: number, { beforeId, limit }: { beforeId: number | undefined, limit: number }
    ): Rule<EventRecord[]> => query(db => db.select().from(events)
      .where(and(eq(events.accountId, accountId), beforeId === undefined ? undefined : lt(events.id, beforeId)))
      .orderBy(desc(events.id)).limit(limit))),

    /** By id: at most `limit` events with an id above `afterId`. An event can have a lower id than one added before. */
    listAfter: read((afterId: number, { account, since, limit }: EventSelection): Rule<EventRecord[]> => {
      // Events of older versions have no username.
      const username = sql<string | null>`coalesce(${events.username}, (select nullif(${accounts.username}, '')
        from ${accounts} where ${accounts.id} = ${events.accountId}))`
      const isOfAccount = account && or(eq(events.accountId, account.id ?? 0), eq(events.username, account.username))
      return query(db => db.select({ ...getTableColumns(events), username }).from(events)
        .where(and(gt(events.id, afterId), isOfAccount, since === undefined ? undefined : gte(events.at, since)))
        .orderBy(asc(events.id)).limit(limit))
    }),

    /** The latest event of the whole store that is of one of these kinds. */
    findLatest: read((kinds: readonly string[]): Rule<EventRecord | undefined> =>
      query(db => db.select().from(events)
        .where(and(isNull(events.accountId), inArray(events.kind, [...kinds])))
        .orderBy(desc(events.id)).limit(1), first)),

    /**
     * Deletes up to `limit` events before a time, but not the latest of a kind of the whole store. Returns whether
     * there may be more.
     */
    removeBefore: (time: number, limit: number): Promise<boolean> => apply(() => query(db => {
      // Ids are in the order of time, but for what was added at the same time: of the lowest ids, those that are old.
      const oldest = db.select({ id: events.id, at: events.at }).from(events).orderBy(asc(events.id)).limit(limit)
        .as('oldest')
      const latestOfStore = db.select({ id: max(events.id) }).from(events).where(isNull(events.accountId))
        .groupBy(events.kind)
      const old = db.select({ id: oldest.id }).from(oldest)
        .where(and(lt(oldest.at, time), notInArray(oldest.id, latestOfStore as never)))
      return db.delete(events).where(inArray(events.id, old)).returning({ id: events.id })
    }, removed => removed.length === limit))
  }
}
