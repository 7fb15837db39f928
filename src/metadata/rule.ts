import { and, type Column, eq, type Placeholder, sql, type SQL } from 'drizzle-orm'
import type { PgDatabase, PgQueryResultHKT, PgTable } from 'drizzle-orm/pg-core'
import { type FailureCode, Problem } from '../problems.ts'

/** A connection to a database, as Drizzle types one to PostgreSQL. */
export type Db = PgDatabase<PgQueryResultHKT>

/** Values of the placeholders of a query. */
export type QueryValues = Record<string, unknown>

interface Prepared<Rows> { execute (values?: QueryValues): PromiseLike<Rows> }
export interface Preparable<Rows> { prepare (name: string): Prepared<Rows> }

/** Builds a query, for each use unless it is prepared. */
export interface Query<Rows> {
  (db: Db): Preparable<Rows>
  /** The name of its prepared statement, unique. */
  readonly statement?: string
}

/** Sends a prepared query with the values of its placeholders. Returns its rows, or what `result` makes of them. */
export type PreparedQuery<Rows> = <T = Rows>(values?: QueryValues, result?: (rows: Rows) => T) => QueryRule<T>

/**
 * Queries with placeholders, whose statements are named by the subject and their keys. An engine prepares each once for
 * each connection: building one takes Drizzle ten times as long as running it.
 */
export function prepared<Queries extends Readonly<Record<string, (db: Db) => Preparable<unknown>>>> (
  subject: string, queries: Queries
) {
  return Object.fromEntries(Object.entries(queries).map(([key, build]) => {
    const statement = Object.assign(build, { statement: `${subject}_${snakeCase(key)}` })
    const rule: PreparedQuery<unknown> = (values, result) => new QueryRule(statement, values, result)
    return [key, rule]
  })) as { [Key in keyof Queries]: Queries[Key] extends Query<infer Rows> ? PreparedQuery<Rows> : never }
}

/** `usernameKey` is `username_key`. */
export function snakeCase (text: string): string {
  return text.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

export const { placeholder } = sql

/** The columns of a row that is written, as placeholders of the same names. */
export function placeholders<Name extends string> (...names: Name[]): Record<Name, never> {
  return Object.fromEntries(names.map(name => [name, placeholder(name)])) as Record<Name, never>
}

/** Builds a query for a row that matches. */
export function anyOf (table: PgTable, condition?: SQL) {
  return (db: Db) => db.select({ one: sql`1` }).from(table).where(condition).limit(1)
}

/** A placeholder for a whole number, where a database could not tell its type. */
export function bigint (name: string): SQL<number> {
  return sql`cast(${placeholder(name)} AS bigint)`
}

/** A column, increased by the number of a placeholder. */
export function plus (column: Column, name: string): SQL {
  return sql`${column} + ${bigint(name)}`
}

/** Condition for the rows whose columns are equal to the placeholders of the same names. */
export function matching<Name extends string> (table: Record<Name, Column>, ...names: Name[]): SQL | undefined {
  return and(...names.map(name => eq(table[name], placeholder(name))))
}

/**
 * ORDER BY, LIMIT and OFFSET for a prepared query. If the limit is a bare parameter, as Drizzle's `limit(1)` makes it,
 * SQLite's planner reads its value and prepares the statement again at each execution; it does not look into a cast.
 */
export function limitedTo (order: SQL, limit: Placeholder | number, offset: Placeholder | number = 0): SQL {
  return sql`${order} limit cast(${limit} as bigint) offset cast(${offset} as bigint)`
}

export interface Step { readonly query: Query<unknown>, readonly values: QueryValues }

/**
 * What to do in the database: a generator that yields queries and gets their rows. An engine runs it: SQLite's in one
 * go, PostgreSQL's query by query. A rule can wait for nothing but queries. After an error it may only throw.
 */
export interface Rule<T> { [Symbol.iterator] (): Generator<readonly Step[], T, readonly unknown[]> }

/** The rule of one query, which can also go out beside others. */
export class QueryRule<T> implements Step, Rule<T> {
  readonly query: Query<unknown>
  readonly values: QueryValues
  /** What the rows mean. May throw. */
  readonly result: (rows: never) => T

  constructor (query: Query<unknown>, values: QueryValues = {}, result: (rows: never) => T = rows => rows) {
    this.query = query
    this.values = values
    this.result = result
  }

  * [Symbol.iterator] (): Generator<readonly Step[], T, readonly unknown[]> {
    const [rows] = yield [this]
    return this.result(rows as never)
  }
}

/**
 * Sends a query that is built for this. Returns its rows, or what `result` makes of them.
 * @throws {Refusal} if a constraint refuses a row.
 */
export function query<Rows, T = Rows> (build: Query<Rows>, result?: (rows: Rows) => T): QueryRule<T> {
  return new QueryRule(build, {}, result)
}

type AnswerOf<T> = T extends QueryRule<infer R> ? R : undefined

/** A result of {@link query}: the first row. */
export function first<Row> ([row]: readonly Row[]): Row | undefined {
  return row
}

/** A result of {@link query}: the first row. @throws not_found. */
export function existing<Row> ([row]: readonly Row[]): Row {
  if (row === undefined) throw new Problem('not_found')
  return row
}

/** A result of {@link query}: whether there are rows. */
export function isAny (rows: readonly unknown[]): boolean {
  return rows.length > 0
}

/** Runs queries in their order, with PostgreSQL in one round trip. An undefined query has an undefined result. */
export function * pipeline<T extends readonly (QueryRule<unknown> | undefined)[]> (
  ...queries: T
): Rule<{ [K in keyof T]: AnswerOf<T[K]> }> {
  const answers = yield queries.filter(query => query !== undefined)
  let answered = 0
  return queries.map(query => query?.result(answers[answered++] as never)) as never
}

/** Runs a rule whose queries are sent to a connection. */
export async function runIn<T> (
  rule: Rule<T>, send: (steps: readonly Step[]) => Promise<readonly unknown[]>
): Promise<T> {
  const generator = rule[Symbol.iterator]()
  let step = generator.next([])
  while (step.done !== true) {
    const answers = await send(step.value).then(rows => ({ rows }), (error: unknown) => ({ error }))
    step = 'error' in answers ? generator.throw(answers.error) : generator.next(answers.rows)
  }
  return step.value
}

/** A row that a constraint of the tables refuses: a key that is taken, or a reference to a row that does not exist. */
export class Refusal extends Error {}

/** Runs a rule. If a constraint refuses a row of it, that is the problem `code`. */
export function * refusedAs<T> (code: FailureCode, rule: Rule<T>): Rule<T> {
  try {
    return yield * rule
  } catch (error) {
    throw error instanceof Refusal ? new Problem(code, { cause: error }) : error
  }
}
