// What a database must give, so that the rules in this folder are written once.
//
// Not shared, because the databases do it too differently:
// - Open attempts: SQLite's are in the memory of its only process, PostgreSQL's in a table.
// - Discarded blobs: several processes of PostgreSQL take them with SKIP LOCKED and look for a retention lock in a
//   table.
// - Conditions on names and numbers: each database finds the end of a page in its index by another form of them.
// - Snapshots for backups, and portable metadata.

import type { Column, SQL } from 'drizzle-orm'
import type { Preparable, PreparedQuery, QueryRule, Rule } from './rule.ts'
import type { Tables } from './schema.ts'

/** Writes with the same key wait for each other: the id of an account, or a text. */
export type QueueKey = number | string

interface Lockable<Rows> extends Preparable<Rows> {
  for (strength: 'no key update', config?: { skipLocked?: true }): unknown
}

/** A part of an owner's names; `after`: the last one of the page before. */
export interface NameRange {
  readonly prefix: string
  readonly after: string | undefined
  readonly isAscending: boolean
}

/** A part of the rows of one order: those after a number and an id. */
export interface NumberRange { readonly key: number, readonly id: number, readonly isAscending: boolean }

/** Some rows of one owner: those after an id, and before another one if there is one. */
export interface IdRange { readonly owner: SQL, readonly after: SQL, readonly before?: SQL | undefined }

export interface Engine {
  readonly tables: Tables
  /** Milliseconds since 1970 by the clock of the database, as of the start of a query. */
  readonly clock: SQL<number>
  /** The same, after the queries that were sent before it. */
  readonly now: () => QueryRule<number>
  /** Runs a rule that changes nothing. */
  readonly read: <T>(rule: () => Rule<T>) => Promise<T>
  /** The same; may return the row that it returned before for this key, unless anything was changed since. */
  readonly readCached: <Row>(key: string | number, rule: () => Rule<Row | undefined>) => Promise<Row | undefined>
  /** Finds the row that a statement returns for one of its `keys`; may return one of before, as `readCached`. */
  readonly finder: <Key extends number | string, Row>(
    statement: PreparedQuery<Row[]>, keyOf: (row: Row) => Key
  ) => (key: Key) => Promise<Row | undefined>
  /** The time at which a row with `now` was returned by {@link Engine.readCached}. */
  readonly timeOf: (row: { readonly now: number }) => number
  /** Runs a rule in a transaction, again if that was rolled back because of others or of a lost connection. */
  readonly transact: <T>(rule: () => Rule<T>) => Promise<T>
  /**
   * The same, for rules that wait for the same lock, such as that of an account: they queue by `key` before they take a
   * connection. `isLong` tells whether it may read or change a hundred thousand rows: SQLite then runs it in another
   * thread.
   */
  readonly transactFor: <T>(key: QueueKey, rule: () => Rule<T>, isLong?: () => Rule<boolean>) => Promise<T>
  /** Runs a rule of one query, which is a transaction of its own and has no further effect if it is repeated. */
  readonly apply: <T>(rule: () => Rule<T>, key?: QueueKey) => Promise<T>
  /** Waits for other transactions that use this name, and makes others wait until this one ends. */
  readonly exclusively: (name: string) => QueryRule<unknown>
  /** The query, which then locks its rows until the transaction ends. */
  readonly locking: <Rows>(query: Lockable<Rows>) => Preparable<Rows>
  /** The same, without rows that others have locked. */
  readonly skippingLocked: <Rows>(query: Lockable<Rows>) => Preparable<Rows>
  /** Whether the value of a column is in such a query, which is read once. */
  readonly isUnlockedIn: (column: Column, query: Lockable<unknown>) => SQL
  /** Rows that one transaction may delete without making others wait. */
  readonly maxDeletedRows: number
  /** The id of a row of `changes` that a query inserts from others: Drizzle wants each column. */
  readonly newChangeId: SQL<number>
  /** The highest id that a change ever had; 0 if there was none. */
  readonly lastChangeId: SQL<number>
  /** Whether the value of a column is in the list of a placeholder. */
  readonly isAmong: (column: Column, placeholder: string) => SQL
  /** Whether a name begins with `prefix` and comes after another one, in an order. */
  readonly namesBetween: (column: Column, range: NameRange) => SQL | undefined
  /** Conditions that each select a part of the rows after a number and an id, in the order of these. */
  readonly numbersAfter: (columns: readonly [number: Column, id: Column], range: NumberRange) => (SQL | undefined)[]
  /** Selects a part of the rows of an owner. `table` has an index of `owner_id` and `id`, which is its key. */
  readonly idsBetween: (table: SQL, range: IdRange) => SQL
}
