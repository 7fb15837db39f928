import type Database from 'better-sqlite3'
import { failureOf } from './failures.ts'

/** Acts in one commit at the most, so that one transaction does not hold the event loop for long. */
const MAX_ACTS = 256

export interface Committer {
  /** Runs `act` inside a transaction and resolves with its result once that is on stable storage; a throw undoes this act alone. */
  commit<T> (act: () => T): Promise<T>
}

interface Waiting { run: () => void, settle: () => void, reject: (error: unknown) => void }

/**
 * Lets acts that arrive together share one synced commit: each runs in a savepoint of its own, so that one that fails
 * takes no other with it. Measured: a synced commit stops the event loop for 0.4 ms, whether it holds one act or many.
 */
export function createCommitter (client: Database.Database): Committer {
  const begin = client.prepare('BEGIN IMMEDIATE')
  const commitAll = client.prepare('COMMIT')
  const rollbackAll = client.prepare('ROLLBACK')
  const savepoint = client.prepare('SAVEPOINT act')
  const release = client.prepare('RELEASE act')
  const rollbackAct = client.prepare('ROLLBACK TO act')
  let waiting: Waiting[] = []

  function commit<T> (act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      waiting.push(prepare(act, resolve, reject))
      if (waiting.length === 1) setImmediate(flush)
    })
  }

  function prepare<T> (act: () => T, resolve: (value: T) => void, reject: (error: unknown) => void): Waiting {
    let settle: () => void
    const run = () => {
      savepoint.run()
      try {
        const value = act()
        settle = () => resolve(value)
      } catch (error) {
        // After SQLITE_FULL or SQLITE_IOERR SQLite may have undone the whole transaction: then no act of it has happened.
        if (!client.inTransaction) throw error
        rollbackAct.run()
        settle = () => reject(failureOf(error))
      }
      release.run()
    }
    return { run, settle: () => settle(), reject }
  }

  function flush (): void {
    const batch = waiting.slice(0, MAX_ACTS)
    waiting = waiting.slice(MAX_ACTS)
    if (waiting.length > 0) setImmediate(flush)
    try {
      begin.run()
      for (const act of batch) act.run()
      commitAll.run()
    } catch (error) {
      if (client.inTransaction) rollbackAll.run()
      for (const act of batch) act.reject(failureOf(error))
      return
    }
    for (const act of batch) act.settle()
  }

  return { commit }
}
