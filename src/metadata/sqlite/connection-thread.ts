// A thread with a connection of its own, for `LongTransactions`: it answers one query after another.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { Database } from './driver.ts'

/** `now`: what `clock()` is in the query. */
export interface ThreadQuery { readonly sql: string, readonly params: readonly unknown[], readonly now: number }

export type ThreadAnswer = { readonly rows: unknown[] } | { readonly code: string, readonly message: string }

/** How long a transaction waits for another one. */
const BUSY_MILLISECONDS = 5000

const port = parentPort as MessagePort
const client = new Database(workerData as string, { timeout: BUSY_MILLISECONDS })
client.pragma('temp_store = MEMORY')
client.pragma('foreign_keys = ON')
// The committer syncs the log.
client.pragma('synchronous = NORMAL')
let now: number
client.function('clock', () => now)

function answerTo ({ sql, params }: ThreadQuery): ThreadAnswer {
  try {
    const statement = client.prepare(sql)
    if (statement.reader) return { rows: statement.raw().all(...params) }
    statement.run(...params)
    return { rows: [] }
  } catch (error) {
    const { code, message } = error as InstanceType<typeof Database.SqliteError>
    return { code, message }
  }
}

port.on('message', (query: ThreadQuery | 'close') => {
  if (query === 'close') {
    client.close()
    port.close()
    return
  }
  now = query.now
  port.postMessage(answerTo(query))
})
