import { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import type { BackendRequest, RequestObserver } from '../../monitoring/request-observer.ts'
import { type CommitObserver, type ConnectionCounts, OutcomeUnknown } from '../metadata.ts'
import type { QueueKey } from '../engine.ts'
import { createCallQueues } from './call-queues.ts'
import { ConnectionLost, isConnectionLost, repeated, unavailable } from './failures.ts'

/** How long a call waits for a connection, new or from the pool. */
const CONNECT_MILLISECONDS = 10_000

/** After this time without an answer a connection is given up. A lock is waited for at most 5 s. */
const ANSWER_MILLISECONDS = 15_000

/** How long closing waits for the server to close its side. */
const CLOSE_MILLISECONDS = 3000

/** A connection costs the server memory, and a new one costs this process the hashing of the password. */
const IDLE_MILLISECONDS = 60_000

/**
 * Most connections for writes of one account. They wait for the lock of its row, so without a limit one account could
 * block all others. With three, the next write is at the server when the lock becomes free.
 */
const MAX_CONNECTIONS_PER_KEY = 3

/** How long, and how often, to ask whether a transaction was committed whose connection broke meanwhile. */
const SETTLE_MILLISECONDS = 5000
const SETTLE_PAUSE_MILLISECONDS = 50

/**
 * A query sees what was committed before it, whatever the default of the database. If this process stops in a
 * transaction, PostgreSQL ends that before those who wait for its locks give up.
 */
const BEGIN = {
  short: `BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_current_xact_id() AS id; SET LOCAL lock_timeout = '5s';
    SET LOCAL statement_timeout = '15s'; SET LOCAL idle_in_transaction_session_timeout = '3s'`,
  long: 'BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_current_xact_id() AS id'
} as const

/** One connection, as Drizzle sees it; `$client` is the driver's. */
export type Connection = NodePgDatabase & { readonly $client: Pick<pg.PoolClient, 'query'> }

/** `begun` resolves when the transaction has begun: nothing may be changed before. */
type Transaction<T> = (db: Connection, begun: Promise<unknown>) => Promise<T>

/** The commit of a transaction failed, mostly because the connection broke: it may have happened. */
class CommitLost extends ConnectionLost {
  readonly transactionId: string
  readonly result: unknown

  constructor (cause: unknown, { transactionId, result }: { transactionId: string, result: unknown }) {
    super('the connection to PostgreSQL broke in a commit', { cause })
    this.transactionId = transactionId
    this.result = result
  }
}

interface ConnectionOptions {
  readonly url: string
  readonly poolSize: number
  /** The name of the connections in `pg_stat_activity`. */
  readonly application: string
  /** `long`: a statement may take as long as it needs, because it reads a whole table or changes one. */
  readonly work: keyof typeof BEGIN
}

/** Everything that this process asks the database: connections, transactions, and what to do if one breaks. */
export class ConnectionPool {
  readonly #pool: pg.Pool
  readonly #begin: string
  readonly #dbs = new WeakMap<pg.PoolClient, Connection>()
  readonly #observers: CommitObserver[] = []
  readonly #requestObservers: RequestObserver[] = []
  readonly #queue = createCallQueues({
    concurrency: MAX_CONNECTIONS_PER_KEY, maxWaitMilliseconds: CONNECT_MILLISECONDS
  })

  constructor ({ url, poolSize, application, work }: ConnectionOptions) {
    this.#begin = BEGIN[work]
    this.#pool = new pg.Pool({
      Client: CorkedClient,
      connectionString: url,
      application_name: application,
      max: poolSize,
      connectionTimeoutMillis: CONNECT_MILLISECONDS,
      query_timeout: work === 'short' ? ANSWER_MILLISECONDS : 0,
      idleTimeoutMillis: IDLE_MILLISECONDS,
      // Queries go out without waiting for the answers to those before.
      pipeline: true,
      keepAlive: true,
      keepAliveInitialDelayMillis: IDLE_MILLISECONDS
    })
    // A connection that breaks while nobody uses it leaves the pool. One in use rejects its query; without
    // a listener of its own, its `error` event would also crash the process.
    this.#pool.on('error', () => {})
    this.#pool.on('connect', client => {
      client.on('error', () => {})
      this.#dbs.set(client, drizzle({ client: this.#watched(client as CorkedClient & pg.PoolClient) }))
    })
  }

  /** Runs queries that change nothing. They are repeated if the connection breaks. @throws unavailable. */
  read<T> (query: (db: Connection) => Promise<T>): Promise<T> {
    return repeated(() => this.#withConnection(query))
  }

  /** Runs a transaction as {@link ConnectionPool.transact} does, once it has begun. */
  write<T> (transaction: (db: Connection) => Promise<T>): Promise<T> {
    return this.transact(async (db, begun) => {
      await begun
      return transaction(db)
    })
  }

  /**
   * Runs a transaction, again if it was undone. Queries that only read may go out before it has begun. `key`: of writes
   * that wait for each other, such as those that lock the row of the same account: they queue before they take a
   * connection, so that those of others find one. Each may also throw overloaded.
   * @throws unavailable if nothing has happened, {OutcomeUnknown} if the database does not tell whether it has.
   */
  transact<T> (transaction: Transaction<T>, key?: QueueKey): Promise<T> {
    const run = () => this.#withConnection(db => inTransaction(db, this.#begin, transaction))
      .catch((error: unknown) => this.#settle<T>(error))
    return this.#queued(key, () => repeated(run))
  }

  /**
   * Runs one statement that is a transaction of its own and has no further effect if it is repeated.
   * @throws unavailable: it may have been carried out.
   */
  apply<T> (statement: (db: Connection) => Promise<T>, key?: QueueKey): Promise<T> {
    return this.#queued(key, () => repeated(() => this.#withConnection(statement)))
  }

  /** The result of a transaction whose connection broke in its commit. @throws the error if that did not happen. */
  async #settle<T> (error: unknown): Promise<T> {
    if (!(error instanceof CommitLost)) throw error
    const { transactionId, result } = error
    const end = performance.now() + SETTLE_MILLISECONDS
    while (performance.now() < end) {
      // PostgreSQL may not have noticed yet that the connection is broken; or it starts again.
      const outcome = await this.#outcomeOf(transactionId).catch(() => 'unknown')
      if (outcome === 'committed') return result as T
      if (outcome === 'aborted') throw error
      await setTimeout(SETTLE_PAUSE_MILLISECONDS)
    }
    throw new OutcomeUnknown(error, 'unavailable')
  }

  async #outcomeOf (transactionId: string): Promise<unknown> {
    const { rows: [row] } = await this.#withConnection(db =>
      db.execute<{ outcome: unknown }>(sql`SELECT pg_xact_status(${transactionId}::xid8) AS outcome`))
    return row?.outcome
  }

  /** Calls `observer` after every commit from now on. */
  watch (observer: CommitObserver): void {
    this.#observers.push(observer)
  }

  /** Calls `observer` after every query from now on, and when a connection was waited for. */
  watchRequests (observer: RequestObserver): void {
    this.#requestObservers.push(observer)
  }

  count (): ConnectionCounts {
    const { totalCount, idleCount, waitingCount, options } = this.#pool
    return { inUse: totalCount - idleCount, idle: idleCount, waiting: waitingCount, max: options.max }
  }

  async close (): Promise<void> {
    await Promise.race([this.#pool.end(), setTimeout(CLOSE_MILLISECONDS, undefined, { ref: false })])
  }

  async #withConnection<T> (use: (db: Connection) => Promise<T>): Promise<T> {
    const client = await this.#timed('connect', () => this.#pool.connect())
      .catch((error: unknown) => { throw unavailable(error, { connections: this.count() }) })
    try {
      const result = await use(this.#dbs.get(client) as Connection)
      client.release()
      return result
    } catch (error) {
      // Drizzle's own transactions keep the connection if it can't begin, until the pool has none left.
      client.release(isConnectionLost(error))
      throw error
    }
  }

  /** The driver rejects with the answer of the server, or with any other error if the connection broke. */
  #watched (client: CorkedClient & pg.PoolClient): pg.PoolClient {
    const query = (config: pg.QueryConfig, values: unknown[]) =>
      this.#timed(operationOf(config), () => client.corked().query(config, values)).catch((error: unknown) => {
        if (error instanceof pg.DatabaseError) throw error
        throw new ConnectionLost('the connection to PostgreSQL broke', { cause: error })
      })
    return { query } as unknown as pg.PoolClient
  }

  #timed<T> (operation: string, request: () => Promise<T>): Promise<T> {
    if (this.#requestObservers.length === 0) return request()
    const start = performance.now()
    const end = (outcome: BackendRequest['outcome']) => {
      const seconds = (performance.now() - start) / 1000
      for (const observer of this.#requestObservers) observer({ operation, outcome, seconds })
    }
    return request().then(
      result => { end('ok'); return result },
      (error: unknown) => { end(error instanceof pg.DatabaseError ? 'refused' : 'failed'); throw error }
    )
  }

  /** Runs a write: without a key at once, else once those with this key before it allow. */
  #queued<T> (key: QueueKey | undefined, write: () => Promise<T>): Promise<T> {
    return key === undefined ? this.#observed(write) : this.#queue(key, () => this.#observed(write))
  }

  async #observed<T> (write: () => Promise<T>): Promise<T> {
    const start = performance.now()
    const result = await write()
    const seconds = (performance.now() - start) / 1000
    for (const observer of this.#observers) observer({ writes: 1, seconds })
    return result
  }
}

/** The name of a prepared statement, or the first word of another one. Neither depends on what clients send. */
function operationOf ({ name, text }: pg.QueryConfig): string {
  return name === undefined || name === '' ? String(/^\w*/.exec(text)).toLowerCase() : name
}

async function inTransaction<T> (db: Connection, begin: string, transaction: Transaction<T>): Promise<T> {
  // One answer for each statement.
  const begun = db.execute(begin).then(answers => answers as unknown as [unknown, { rows: [{ id: string }] }])
  const result = await transaction(db, begun).catch(async (error: unknown) => {
    // If the connection broke, or no answer came, the server undoes the transaction by itself.
    if (!isConnectionLost(error)) await db.execute('ROLLBACK')
    throw error
  })
  const [, { rows: [{ id: transactionId }] }] = await begun
  await db.execute('COMMIT').catch((error: unknown) => { throw new CommitLost(error, { transactionId, result }) })
  return result
}

/**
 * Sends the queries of one turn of the event loop by one system call: 16 at once, adding a file takes 350 µs of CPU
 * time, and 410 without.
 */
class CorkedClient extends pg.Client {
  readonly #socket: Socket
  #isCorked = false

  constructor (options?: pg.ClientConfig) {
    const socket = new Socket()
    super({ ...options, stream: () => socket })
    this.#socket = socket
  }

  /** This client, for a query that goes out at the end of the turn. */
  corked (): this {
    if (this.#isCorked) return this
    this.#isCorked = true
    this.#socket.cork()
    setImmediate(() => {
      this.#isCorked = false
      this.#socket.uncork()
    })
    return this
  }
}
