import { and, type Column, eq, gt, gte, lt, ne, type SQL, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { Engine, IdRange, NameRange, NumberRange } from '../engine.ts'
import { afterPrefix } from '../paths.ts'
import {
  type Db, first, placeholder, type Query, query, type QueryValues, type Rule, runIn, type Step
} from '../rule.ts'
import type { Tables } from '../schema.ts'
import type { Committer } from './committer.ts'
import type { LongTransactions } from './long-transactions.ts'
import { refusalOf } from './failures.ts'
import * as schema from './schema.ts'

/** Rows deleted in one commit, which takes a few milliseconds. */
const MAX_DELETED_ROWS = 500

interface SyncPrepared { execute (values: QueryValues): { sync (): unknown } }

interface SqliteEngineOptions {
  readonly db: BetterSQLite3Database
  readonly committer: Committer
  readonly longTransactions: LongTransactions
  /** Milliseconds since 1970. */
  readonly clock: () => number
  readonly withSpace: WithSpace
}

export type WithSpace = <T>(operation: () => Promise<T>) => Promise<T>

/** Runs rules on the one connection that there is, each in one go: nothing else comes between its queries. */
export function createSqliteEngine ({
  db, committer, longTransactions, clock, withSpace
}: SqliteEngineOptions): Engine {
  const statements = new Map<Query<unknown>, SyncPrepared>()
  const cached = createRowCache<unknown>(committer)
  // No query: the clock is in this process.
  const time: Query<number> = () => ({ prepare: () => ({ execute: () => ({ sync: clock }) }) }) as never
  const build = (query: Query<unknown>) => query(db as unknown as Db).prepare('') as unknown as SyncPrepared

  function statementOf (query: Query<unknown>): SyncPrepared {
    if (query.statement === undefined) return build(query)
    const statement = statements.get(query) ?? build(query)
    statements.set(query, statement)
    return statement
  }

  const perform = ({ query, values }: Step): unknown => statementOf(query).execute(values).sync()

  function run<T> (rule: Rule<T>): T {
    const generator = rule[Symbol.iterator]()
    let step = generator.next([])
    while (step.done !== true) {
      let rows: unknown[]
      try {
        rows = step.value.map(perform)
      } catch (error) {
        step = generator.throw(refusalOf(error))
        continue
      }
      step = generator.next(rows)
    }
    return step.value
  }

  /** Sends queries on a connection in another thread. */
  async function send (db: Db, steps: readonly Step[]): Promise<unknown[]> {
    const rows: unknown[] = []
    for (const { query, values } of steps) {
      rows.push(query === time ? clock() : await query(db).prepare('').execute(values))
    }
    return rows
  }

  const runInThread = <T>(db: Db, rule: Rule<T>) =>
    runIn(rule, steps => send(db, steps).catch((error: unknown) => { throw refusalOf(error) }))

  const commit = <T>(write: () => T): Promise<T> => withSpace(() => committer.commit(write))

  async function transactUnlessLong<T> (rule: () => Rule<T>, isLong: () => Rule<boolean>): Promise<T> {
    const done = await commit(() => run(isLong()) ? undefined : { value: run(rule()) })
    if (done !== undefined) return done.value
    return withSpace(() => committer.runBeside(() => longTransactions.transact(db => runInThread(db, rule()))))
  }

  const readCached = <Row>(key: string | number, rule: () => Rule<Row | undefined>) =>
    committer.read(() => cached(key, () => run(rule())) as Row | undefined)

  return {
    tables: schema as unknown as Tables,
    // The function that `sqlite.ts` defines; in a query of its own, so that it is called once.
    clock: sql`(SELECT clock())`,
    now: () => query(time),
    read: rule => committer.read(() => run(rule())),
    readCached,
    finder: statement => key => readCached(key, () => statement({ keys: [key] }, first)),
    timeOf: () => clock(),
    transact: rule => commit(() => run(rule())),
    transactFor: (_key, rule, isLong) =>
      isLong === undefined ? commit(() => run(rule())) : transactUnlessLong(rule, isLong),
    apply: rule => commit(() => run(rule())),
    // Nothing else runs meanwhile.
    exclusively: () => query(time),
    locking: query => query,
    skippingLocked: query => query,
    isUnlockedIn: (column, query) => sql`${column} IN ${query}`,
    maxDeletedRows: MAX_DELETED_ROWS,
    newChangeId: sql`NULL`,
    lastChangeId: sql`coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0)`,
    isAmong: (column, name) => {
      const list = sql.param(placeholder(name), { mapToDriverValue: JSON.stringify })
      return sql`${column} IN (SELECT value FROM json_each(${list}))`
    },
    namesBetween,
    numbersAfter,
    idsBetween
  }
}

/** One bound on each side: of two lower ones SQLite seeks to one and scans to the other, 100,000 files in 8 ms. */
function namesBetween (column: Column, { prefix, after, isAscending }: NameRange): SQL | undefined {
  if (after === undefined) return and(gte(column, prefix), lt(column, endOf(prefix)))
  return isAscending
    ? and(gte(column, sql`max(${prefix}, ${after})`), ne(column, after), lt(column, endOf(prefix)))
    : and(gte(column, prefix), lt(column, sql`min(${endOf(prefix)}, ${after})`))
}

/** First those with the same number: of a row value SQLite seeks to the number only, and reads all that have it. */
function numbersAfter (
  [number, id]: readonly [Column, Column], { key, id: after, isAscending }: NumberRange
): (SQL | undefined)[] {
  const further = isAscending ? gt : lt
  return [and(eq(number, key), further(id, after)), further(number, key)]
}

/** No row value, as above: it would read all rows of the owner. */
function idsBetween (table: SQL, { owner, after, before }: IdRange): SQL {
  const isAfter = sql`${table}.owner_id = ${owner} AND ${table}.id > ${after}`
  return before === undefined ? isAfter : sql`${isAfter} AND ${table}.id < ${before}`
}

/** A value greater than every name with this prefix. Any blob is greater than any text. */
function endOf (prefix: string): SQL {
  const end = afterPrefix(prefix)
  return end === undefined ? sql`x''` : sql`${end}`
}

/** The cache is emptied when it holds this many rows. A row takes about a kilobyte. */
const MAX_CACHED_ROWS = 4096

/** Returns the cached row for a key, or else the result of `find`, which it then caches. Use it inside `read`. */
type RowCache<Row> = (key: number | string, find: () => Row | undefined) => Row | undefined

/**
 * Caches rows until `committer.version` changes. Finding a token through Drizzle takes 15 µs, and a file 6. A Map,
 * because clearing an LRUCache took 2 % of a delete.
 */
export function createRowCache<Row> (committer: Pick<Committer, 'version'>): RowCache<Row> {
  const rows = new Map<number | string, Row>()
  let cachedVersion = committer.version

  return (key, find) => {
    // Read before `find`: if the row changes between the two, the next call empties the cache.
    const { version } = committer
    if (version !== cachedVersion) rows.clear()
    cachedVersion = version
    const cached = rows.get(key)
    if (cached !== undefined) return cached
    const found = find()
    if (rows.size === MAX_CACHED_ROWS) rows.clear()
    if (found !== undefined) rows.set(key, found)
    return found
  }
}
