import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { drizzle } from 'drizzle-orm/sqlite-proxy'
import pLimit from 'p-limit'
import type { Db } from '../rule.ts'
import type { ThreadAnswer, ThreadQuery } from './connection-thread.ts'
import { Database } from './driver.ts'
import { failureOf } from './failures.ts'

// Of the sources, or of the package.
const thread = new URL(`connection-thread${extname(import.meta.url)}`, import.meta.url)

interface LongTransactionsOptions { readonly file: string, readonly clock: () => number }

/**
 * Transactions that would block the event loop: the paths of 100,000 folders are changed in 250 ms. Each has a thread
 * with a connection of its own, which takes 50 ms to start. Others read meanwhile, and wait to write as for another
 * process. One at a time.
 */
export class LongTransactions {
  readonly #options: LongTransactionsOptions
  readonly #limit = pLimit(1)

  constructor (options: LongTransactionsOptions) {
    this.#options = options
  }

  /** Runs `work` in a transaction that is not on stable storage yet. If `work` fails, it is undone. */
  transact<T> (work: (db: Db) => Promise<T>): Promise<T> {
    return this.#limit(() => this.#transact(work))
  }

  async #transact<T> (work: (db: Db) => Promise<T>): Promise<T> {
    const { file, clock } = this.#options
    const worker = new Worker(thread, { workerData: file })
    const ended = new Promise<never>((_resolve, reject) => {
      worker.on('error', reject).on('exit', () => reject(new Error('the thread has ended')))
    })
    async function send (sql: string, params: readonly unknown[] = []): Promise<{ rows: unknown[] }> {
      worker.postMessage({ sql, params, now: clock() } satisfies ThreadQuery)
      const [answer] = await Promise.race([once(worker, 'message'), ended]) as [ThreadAnswer]
      if ('code' in answer) throw new Database.SqliteError(answer.message, answer.code)
      return answer
    }
    async function run (): Promise<T> {
      await send('BEGIN IMMEDIATE')
      const result = await work(drizzle(send) as unknown as Db)
      await send('COMMIT')
      return result
    }
    return run().catch((error: unknown) => { throw failureOf(error, file) }).finally(() => {
      // Undoes a transaction that was not committed.
      worker.postMessage('close')
      return ended.catch(() => {})
    })
  }
}
