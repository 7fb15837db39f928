import { and, type Column, gt, gte, lt, type SQL, sql } from 'drizzle-orm'
import type { Engine, NameRange } from '../engine.ts'
import { afterPrefix } from '../prefix.ts'
import { query, type Query, reading, type Rule, type Step, type Values } from '../rule.ts'
import type { Tables } from '../schema.ts'
import type { Connections, Db } from './connections.ts'
import { refusalOf } from './failures.ts'
import * as schema from './schema.ts'

interface Prepared { execute (values: Values): PromiseLike<unknown> }

/** Milliseconds since 1970 at the start of the query: PostgreSQL can't use an index with a time that advances. */
const serverClock = sql<number>`(extract(epoch FROM statement_timestamp()) * 1000)::bigint`

/** Runs rules on the connections of a pool. `testClock`: instead of that of the database. */
export function createPostgresEngine (connections: Connections, testClock: (() => number) | undefined): Engine {
  const clock = testClock === undefined ? serverClock : sql<number>`${sql.placeholder('clock')}::bigint`
  const prepared = new WeakMap<Db, Map<Query<unknown>, Prepared>>()
  const time = reading('clock', db => db.select({ now: clock.mapWith(Number) }).from(sql`(SELECT 1) AS one`))

  function statementOf (db: Db, query: Query<unknown>): Prepared {
    if (query.name === '') return query.build(db).prepare('')
    const statements = prepared.get(db) ?? new Map<Query<unknown>, Prepared>()
    prepared.set(db, statements)
    const statement = statements.get(query) ?? query.build(db).prepare(query.name)
    statements.set(query, statement)
    return statement
  }

  const perform = (db: Db, { query, values }: Step) =>
    statementOf(db, query).execute(testClock === undefined ? values : { ...values, clock: testClock() })

  /** Sends queries at once, and waits for all. */
  async function answersTo (db: Db, steps: readonly Step[], begun?: Promise<unknown>): Promise<unknown[]> {
    const ends = await Promise.allSettled([begun, ...steps.map(step => perform(db, step))])
    const failed = ends.find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') throw refusalOf(failed.reason)
    return ends.slice(1).map(end => (end as PromiseFulfilledResult<unknown>).value)
  }

  async function run<T> (db: Db, rule: Rule<T>, begun?: Promise<unknown>): Promise<T> {
    const generator = rule[Symbol.iterator]()
    let step = generator.next([])
    // What changes something waits until the transaction has begun.
    if (step.done === true || step.value.some(({ query }) => query.isWrite)) await begun
    while (step.done !== true) {
      const answers = await answersTo(db, step.value, begun).then(rows => ({ rows }), (error: unknown) => ({ error }))
      step = 'error' in answers ? generator.throw(answers.error) : generator.next(answers.rows)
    }
    return step.value
  }

  return {
    tables: schema as unknown as Tables,
    clock,
    now: () => query(time, {}, ([row]) => Number(row?.now)),
    read: rule => connections.read(db => run(db, rule())),
    readCached: (_key, rule) => connections.read(db => run(db, rule())),
    timeOf: ({ now }) => now,
    transact: rule => connections.transact((db, begun) => run(db, rule(), begun)),
    transactFor: (key, rule) => connections.transact((db, begun) => run(db, rule(), begun), key),
    apply: (rule, key) => connections.apply(db => run(db, rule()), key),
    locking: query => query.for('no key update') as typeof query,
    skippingLocked: query => query.for('no key update', { skipLocked: true }) as typeof query,
    maxDeletedRows: Infinity,
    newChangeId: sql`nextval('changes_id_seq')`,
    lastChangeId: sql`coalesce(pg_sequence_last_value('changes_id_seq'), 0)`,
    isAmong: (column, placeholder) => sql`${column} = any(${sql.placeholder(placeholder)})`,
    namesBetween
  }
}

function namesBetween (column: Column, { prefix, after, isAscending }: NameRange): SQL | undefined {
  const end = afterPrefix(prefix)
  const further = isAscending ? gt : lt
  return and(
    gte(column, prefix),
    end === undefined ? undefined : lt(column, end),
    after === undefined ? undefined : further(column, after)
  )
}
