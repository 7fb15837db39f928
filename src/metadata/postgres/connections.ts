import { setTimeout } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import type { BackendRequest, RequestObserver } from '../../blobs/blob-store.ts'
import { failures, Problem } from '../../problems.ts'
import { type CommitObserver, type ConnectionCounts, OutcomeUnknown } from '../metadata.ts'
import { ConnectionLost, failureOf, isConnectionLost, isUndone, unavailable } from './failures.ts'

/** How long a call waits for a connection, new or from the pool. */
const CONNECT_MILLISECONDS = 10_000

/** After this time without an answer a connection is given up. A lock is waited for at most 5 s. */
const ANSWER_MILLISECONDS = 15_000

/** After this time nothing is tried again: a request would wait several times for a server that does not answer. */
const REPEAT_MILLISECONDS = 5000

/** How long closing waits for the server to close its side. */
const CLOSE_MILLISECONDS = 3000

/** A connection costs the server memory, and a new one costs this process the hashing of the password. */
const IDLE_MILLISECONDS = 60_000

/** How often a transaction is tried: after a serialisation failure, a deadlock or a lost connection. */
const MAX_TRIES = 4

/** A transaction has limits for the case that this process stops in the middle: others wait for its locks. */
const BEGIN = {
  short: "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '15s'; SET LOCAL idle_in_transaction_session_timeout = '10s'",
  long: 'BEGIN'
} as const

/** One connection, as Drizzle sees it; `$client` is the driver's. */
export type Db = NodePgDatabase & { readonly $client: Pick<pg.PoolClient, 'query'> }

/** All that this process asks the database goes through here: connections, transactions, and what to do if one breaks. */
export interface Connections {
  /** Runs a query that changes nothing. It is repeated if the connection breaks. @throws unavailable. */
  read<T> (query: (db: Db) => Promise<T>): Promise<T>
  /** Runs a transaction, again if it was undone. @throws unavailable if nothing has happened, {OutcomeUnknown} if the connection breaks in its commit. */
  write<T> (transaction: (db: Db) => Promise<T>): Promise<T>
  /** Runs one statement that is a transaction of its own, in one round trip. @throws unavailable, {OutcomeUnknown}. */
  execute<T> (statement: (db: Db) => Promise<T>): Promise<T>
  /**
   * The same for a statement that has no further effect if it is executed again: it is repeated if the connection breaks, with
   * `isRepeated`, because it may have been executed. @throws unavailable, {OutcomeUnknown}.
   */
  executeIdempotent<T> (statement: (db: Db, isRepeated: boolean) => Promise<T>): Promise<T>
  /** Calls `observer` after every commit from now on. */
  watch (observer: CommitObserver): void
  /** Calls `observer` after every round trip from now on, and when a connection was waited for. */
  watchRequests (observer: RequestObserver): void
  count (): ConnectionCounts
  close (): Promise<void>
}

interface ConnectionOptions {
  readonly url: string
  readonly poolSize: number
  /** `long`: a statement may take as long as it needs, because it reads a whole table or changes one. */
  readonly work: keyof typeof BEGIN
}

export function createConnections ({ url, poolSize, work }: ConnectionOptions): Connections {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'magicstore',
    max: poolSize,
    connectionTimeoutMillis: CONNECT_MILLISECONDS,
    query_timeout: work === 'short' ? ANSWER_MILLISECONDS : 0,
    idleTimeoutMillis: IDLE_MILLISECONDS,
    keepAlive: true,
    keepAliveInitialDelayMillis: IDLE_MILLISECONDS
  })
  const dbs = new WeakMap<pg.PoolClient, Db>()
  const observers: CommitObserver[] = []
  const requestObservers: RequestObserver[] = []
  // A connection that breaks while nobody uses it leaves the pool. One in use rejects its query; without
  // a listener of its own, its `error` event would also crash the process.
  pool.on('error', () => {})
  pool.on('connect', client => {
    client.on('error', () => {})
    dbs.set(client, drizzle({ client: watched(client) }))
  })

  async function withConnection<T> (use: (db: Db) => Promise<T>): Promise<T> {
    const client = await timed('connect', () => pool.connect()).catch((error: unknown) => { throw unavailable(error) })
    try {
      const result = await use(dbs.get(client) as Db)
      client.release()
      return result
    } catch (error) {
      // Drizzle's own transactions keep the connection if it can't begin, until the pool has none left.
      client.release(isConnectionLost(error) || error instanceof OutcomeUnknown)
      throw error
    }
  }

  /** The driver rejects with the answer of the server, or with any other error if the connection broke. */
  function watched (client: pg.PoolClient): pg.PoolClient {
    const query = (config: pg.QueryConfig, values: unknown[]) =>
      timed(operationOf(config), () => client.query(config, values)).catch((error: unknown) => {
        throw error instanceof pg.DatabaseError ? error : new ConnectionLost('the connection to PostgreSQL broke', { cause: error })
      })
    return { query } as unknown as pg.PoolClient
  }

  function timed<T> (operation: string, request: () => Promise<T>): Promise<T> {
    if (requestObservers.length === 0) return request()
    const start = performance.now()
    const end = (outcome: BackendRequest['outcome']) => {
      const seconds = (performance.now() - start) / 1000
      for (const observer of requestObservers) observer({ operation, outcome, seconds })
    }
    return request().then(
      result => { end('ok'); return result },
      (error: unknown) => { end(error instanceof pg.DatabaseError ? 'refused' : 'failed'); throw error }
    )
  }

  async function observed<T> (operation: () => Promise<T>): Promise<T> {
    const start = performance.now()
    const result = await operation()
    const seconds = (performance.now() - start) / 1000
    for (const observer of observers) observer({ writes: 1, seconds })
    return result
  }

  return {
    read: query => repeated(() => withConnection(query), isHarmless),
    write: transaction => observed(() => repeated(() => withConnection(db => inTransaction(db, BEGIN[work], transaction)), isHarmless)),
    execute: statement => observed(() => repeated(() => withConnection(db => knownOutcome(statement(db))), isUndone)),
    executeIdempotent: statement => observed(() => repeated(
      isRepeated => withConnection(db => knownOutcome(statement(db, isRepeated))),
      error => error instanceof OutcomeUnknown || isUndone(error)
    )),
    watch: observer => { observers.push(observer) },
    watchRequests: observer => { requestObservers.push(observer) },
    count: () => ({ inUse: pool.totalCount - pool.idleCount, idle: pool.idleCount, waiting: pool.waitingCount, max: poolSize }),
    close: () => Promise.race([pool.end(), setTimeout(CLOSE_MILLISECONDS, undefined, { ref: false })])
  }
}

/**
 * A query that is built once for each connection and prepared there: building it takes Drizzle ten times as long as running it.
 */
export function prepared<T> (build: (db: Db) => T): (db: Db) => T {
  const built = new WeakMap<Db, T>()
  return db => {
    const query = built.get(db) ?? build(db)
    built.set(db, query)
    return query
  }
}

/**
 * Milliseconds since 1970 by the database's clock, as of the start of the statement: with a time that advances meanwhile PostgreSQL
 * can't use an index. The functions, which wait for locks first, take the time after that.
 */
export const clock = sql<number>`(extract(epoch FROM statement_timestamp()) * 1000)::bigint`

export async function readClock (db: Db): Promise<number> {
  const { rows: [row] } = await db.execute<{ now: string }>(sql`SELECT ${clock} AS now`)
  return Number(row?.now)
}

/** The name of a prepared statement, or the first word of another one. Neither depends on what clients send. */
function operationOf ({ name, text }: pg.QueryConfig): string {
  return name ?? String(/^\w*/.exec(text)).toLowerCase()
}

async function inTransaction<T> (db: Db, begin: string, transaction: (db: Db) => Promise<T>): Promise<T> {
  await db.execute(begin)
  const result = await transaction(db).catch(async (error: unknown) => {
    // If the connection broke, or no answer came, the server undoes the transaction by itself.
    if (!isConnectionLost(error)) await db.execute('ROLLBACK')
    throw error
  })
  await knownOutcome(db.execute('COMMIT'))
  return result
}

/** A statement that commits: if the connection breaks, it may have done so. */
async function knownOutcome<T> (statement: Promise<T>): Promise<T> {
  return statement.catch((error: unknown) => { throw isConnectionLost(error) ? new OutcomeUnknown(error, 'unavailable') : error })
}

/** Repeats while `canRepeat` allows. If a try may have been executed, the error stays {@link OutcomeUnknown} unless a later try is refused. */
async function repeated<T> (run: (isRepeated: boolean) => Promise<T>, canRepeat: (error: unknown) => boolean): Promise<T> {
  let unknown: OutcomeUnknown | undefined
  const start = performance.now()
  for (let tries = 1; ; tries++) {
    const end = await run(unknown !== undefined).then(value => ({ value }), (error: unknown) => ({ error }))
    if ('value' in end) return end.value
    if (end.error instanceof OutcomeUnknown) unknown ??= end.error
    if (tries === MAX_TRIES || performance.now() - start > REPEAT_MILLISECONDS || !canRepeat(end.error)) {
      const failure = failureOf(end.error)
      throw unknown === undefined || isRefusal(failure) ? failure : unknown
    }
  }
}

/** True if nothing has happened: a transaction whose connection breaks before its commit is undone. */
function isHarmless (error: unknown): boolean {
  return isConnectionLost(error) || isUndone(error)
}

function isRefusal (failure: unknown): boolean {
  return failure instanceof Problem && failures[failure.code].status < 500
}
