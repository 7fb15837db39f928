import { closeSync, openSync } from 'node:fs'
import { overloadOf } from '../../blobs/disk/durable-files.ts'
import { Problem } from '../../problems.ts'
import { Database } from './driver.ts'

/** What SQLite answers where a file it needs can't be made or grown. */
const OUT_OF_ROOM = new Set(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE', 'SQLITE_IOERR_SHMOPEN', 'SQLITE_IOERR_WRITE', 'SQLITE_CANTOPEN'])

/** Maps what SQLite says to what a client can be told, by its codes. */
export function failureOf (cause: unknown): unknown {
  if (!(cause instanceof Database.SqliteError)) return cause
  if (OUT_OF_ROOM.has(cause.code)) return descriptorShortage() ?? new Problem('storage_full', { cause })
  if (isBusy(cause)) return new Problem('overloaded', { headers: { 'retry-after': '1' }, cause })
  return cause
}

/** SQLite has the same code for a full disk and for a process without a descriptor left: trying to open one tells them apart. */
function descriptorShortage (): Problem | undefined {
  try {
    closeSync(openSync('/', 'r'))
    return undefined
  } catch (error) {
    return overloadOf(error)
  }
}

/** True where a database must first be brought back to what it was before a transaction that was cut off, which needs a connection that can write. */
export function isCutOff (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_READONLY_ROLLBACK'
}

/** True where another process has the lock that an act needs. */
export function isBusy (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')
}

/** True where `error` says that a unique index refused a row. */
export function isUniqueViolation (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_CONSTRAINT_UNIQUE'
}

/** True where `error` says that the row which another belongs to is gone. */
export function isOwnerMissing (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_CONSTRAINT_FOREIGNKEY'
}
