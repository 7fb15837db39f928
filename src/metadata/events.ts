import { and, asc, desc, eq, getTableColumns, gt, gte, inArray, isNull, lt, max, notInArray, or, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import type { WriteEvent } from './event-writer.ts'
import type { EventRepository } from './metadata.ts'
import type { EventRecord, EventSelection, KeptEvents, NewEvent } from './records.ts'
import { ask, reading, writing } from './rule.ts'

export class EventRules implements EventRepository {
  readonly #engine: Engine
  readonly #writeEvent: WriteEvent

  constructor (engine: Engine, writeEvent: WriteEvent) {
    this.#engine = engine
    this.#writeEvent = writeEvent
  }

  add (event: NewEvent, keep: KeptEvents): Promise<void> {
    return this.#engine.transact(() => this.#writeEvent(event, keep))
  }

  list (
    accountId: number, { beforeId, limit }: { beforeId: number | undefined, limit: number }
  ): Promise<EventRecord[]> {
    const { tables: { events }, read } = this.#engine
    return read(() => ask(reading('', db => db.select().from(events)
      .where(and(eq(events.accountId, accountId), beforeId === undefined ? undefined : lt(events.id, beforeId)))
      .orderBy(desc(events.id)).limit(limit))))
  }

  listAfter (afterId: number, { account, since, limit }: EventSelection): Promise<EventRecord[]> {
    const { tables: { accounts, events }, read } = this.#engine
    // Events of older versions have no username.
    const username = sql<string | null>`coalesce(${events.username}, (select nullif(${accounts.username}, '') from ${accounts} where ${accounts.id} = ${events.accountId}))`
    const isOfAccount = account && or(eq(events.accountId, account.id ?? 0), eq(events.username, account.username))
    return read(() => ask(reading('', db => db.select({ ...getTableColumns(events), username }).from(events)
      .where(and(gt(events.id, afterId), isOfAccount, since === undefined ? undefined : gte(events.at, since)))
      .orderBy(asc(events.id)).limit(limit))))
  }

  findLatest (kinds: readonly string[]): Promise<EventRecord | undefined> {
    const { tables: { events }, read } = this.#engine
    return read(() => ask(reading('', db => db.select().from(events)
      .where(and(isNull(events.accountId), inArray(events.kind, [...kinds])))
      .orderBy(desc(events.id)).limit(1)), {}, ([latest]) => latest))
  }

  // Ids are in the order of time, but for what was added at the same time: of the lowest ids, those that are old.
  removeBefore (time: number, limit: number): Promise<boolean> {
    const { tables: { events }, apply } = this.#engine
    return apply(() => ask(writing('', db => {
      const oldest = db.select({ id: events.id, at: events.at }).from(events).orderBy(asc(events.id)).limit(limit)
        .as('oldest')
      const latestOfStore = db.select({ id: max(events.id) }).from(events).where(isNull(events.accountId))
        .groupBy(events.kind)
      const old = db.select({ id: oldest.id }).from(oldest)
        .where(and(lt(oldest.at, time), notInArray(oldest.id, latestOfStore as never)))
      return db.delete(events).where(inArray(events.id, old)).returning({ id: events.id })
    }), {}, removed => removed.length === limit))
  }
}
