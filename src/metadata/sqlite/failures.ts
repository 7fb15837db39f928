import { closeSync, openSync } from 'node:fs'
import { overloadOf } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import { Database } from './driver.ts'

/** SQLite's codes for a file that it cannot create or grow. */
const OUT_OF_SPACE = new Set(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE', 'SQLITE_IOERR_SHMOPEN', 'SQLITE_IOERR_WRITE', 'SQLITE_CANTOPEN'])

/** Maps SQLite's errors to problems, by their codes. Other errors are returned as they are. */
export function failureOf (cause: unknown): unknown {
  if (!(cause instanceof Database.SqliteError)) return cause
  if (OUT_OF_SPACE.has(cause.code)) return descriptorShortage() ?? new Problem('storage_full', { cause })
  if (isBusy(cause)) return new Problem('overloaded', { headers: { 'retry-after': '1' }, cause })
  return cause
}

/** SQLite uses the same code for a full disk and for a process without free file descriptors: opening a file tells them apart. */
function descriptorShortage (): Problem | undefined {
  try {
    closeSync(openSync('/', 'r'))
    return undefined
  } catch (error) {
    return overloadOf(error)
  }
}

/** True if a transaction was cut off and must be rolled back first, which needs a writable connection. */
export function isCutOff (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_READONLY_ROLLBACK'
}

/** True if another process holds the lock. */
export function isBusy (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')
}

/** True if a unique index refused a row. */
export function isUniqueViolation (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_CONSTRAINT_UNIQUE'
}

/** True if a row refers to an account or token that does not exist. */
export function isOwnerMissing (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_CONSTRAINT_FOREIGNKEY'
}
