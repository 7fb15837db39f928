import { DrizzleQueryError } from 'drizzle-orm'
import pg from 'pg'
import { Problem, storageFull } from '../../problems.ts'
import type { ConnectionCounts } from '../metadata.ts'
import { Refusal } from '../rule.ts'

/** The connection broke while a statement was being executed. It may have been executed or not. */
export class ConnectionLost extends Error {}

/** SQLSTATE classes of a server that ends the connection: shutdown, crash, or a transaction idle for too long. */
const ENDS_CONNECTION = /^(08|57P0|25P0[34])/

/** A serialisation failure or a deadlock: the transaction was undone and can be repeated. */
const REPEATABLE = new Set(['40001', '40P01'])

/** A statement or a lock took too long; nothing was changed. */
const TOO_SLOW = new Set(['55P03', '57014'])

/** No more connections, no memory, or a server that became a read-only standby; nothing was changed. */
const OUT_OF_SERVICE = /^(53[234]00|25006)$/

const DISK_FULL = '53100'

/** The driver's error. Drizzle wraps it in one whose message has the values of the query. */
export function rootOf (error: unknown): unknown {
  return error instanceof DrizzleQueryError ? error.cause : error
}

function codeOf (error: unknown): string {
  const root = rootOf(error)
  return root instanceof pg.DatabaseError ? String(root.code) : ''
}

/** True if the connection can't be used any more. What it was executing may have been committed or not. */
export function isConnectionLost (error: unknown): boolean {
  return rootOf(error) instanceof ConnectionLost || ENDS_CONNECTION.test(codeOf(error))
}

/** True if the transaction was undone because of others, and can be repeated. */
export function isUndone (error: unknown): boolean {
  return REPEATABLE.has(codeOf(error))
}

/** A key that is taken, or a reference to a row that does not exist. */
const REFUSED = new Set(['23505', '23503'])

/** A failed query, as rules see it. */
export function refusalOf (error: unknown): unknown {
  return REFUSED.has(codeOf(error)) ? new Refusal('a constraint refuses the row', { cause: error }) : error
}

/** The database can't be reached, and nothing has happened. `state` is for the log. */
export function unavailable (cause: unknown, state?: { connections: ConnectionCounts }): Problem {
  return new Problem('unavailable', { retrySeconds: 5, resource: 'database', cause, ...(state && { state }) })
}

/** Maps PostgreSQL's errors to problems, by their codes. Other errors are returned as they are. */
export function failureOf (error: unknown): unknown {
  const cause = rootOf(error)
  const code = codeOf(error)
  if (code === DISK_FULL) return storageFull({ resource: 'database', cause })
  if (TOO_SLOW.has(code) || isUndone(error)) {
    return new Problem('overloaded', { retrySeconds: 1, resource: 'database', cause })
  }
  if (OUT_OF_SERVICE.test(code) || isConnectionLost(error)) return unavailable(cause)
  return cause
}

/** How often a transaction is tried: after a serialisation failure, a deadlock or a lost connection. */
const MAX_TRIES = 4

/** After this time nothing is tried again: a request would wait several times for a server that does not answer. */
const REPEAT_MILLISECONDS = 5000

/** Repeats what was undone, by others or because the connection broke. */
export async function repeated<T> (run: () => Promise<T>, tries = 1, start = performance.now()): Promise<T> {
  return run().catch((error: unknown) => {
    const mayRepeat = tries < MAX_TRIES && performance.now() - start <= REPEAT_MILLISECONDS
    if (mayRepeat && (isConnectionLost(error) || isUndone(error))) return repeated(run, tries + 1, start)
    throw failureOf(error)
  })
}
