import { accessSync, closeSync, constants, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { overloadOf } from '../../data-folder/durable-files.ts'
import { OperatorError, Problem, storageFull } from '../../problems.ts'
import { Refusal } from '../rule.ts'
import { Database } from './driver.ts'

/** This process may not read and write a file of the database. */
export class DeniedFileError extends OperatorError {}

/** SQLite's codes for a file that it cannot create or grow. */
const OUT_OF_SPACE = new Set([
  'SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE', 'SQLITE_IOERR_SHMOPEN', 'SQLITE_IOERR_WRITE', 'SQLITE_CANTOPEN'
])

/** Endings of the files that SQLite and the retention lock open beside a database. */
const COMPANIONS = ['-wal', '-shm', '-journal', '-hold']

/** Maps SQLite's errors of the database in `file` to problems, by their codes. Returns other errors unchanged. */
export function failureOf (cause: unknown, file: string): unknown {
  if (!(cause instanceof Database.SqliteError)) return cause
  if (OUT_OF_SPACE.has(cause.code)) {
    return descriptorShortage() ?? denialOf(file, cause) ?? storageFull({ resource: 'disk', cause })
  }
  if (cause.code.startsWith('SQLITE_READONLY')) return denialOf(file, cause) ?? cause
  if (isBusy(cause)) return new Problem('overloaded', { retrySeconds: 1, cause })
  return cause
}

/** SQLite uses one code for a full disk and for too few file descriptors: opening a file tells them apart. */
function descriptorShortage (): Problem | undefined {
  try {
    closeSync(openSync('/', 'r'))
    return undefined
  } catch (error) {
    return overloadOf(error)
  }
}

/**
 * SQLite does not say which file it could not open or write, nor why. Opening them here would drop its locks; this only
 * asks for access.
 */
function denialOf (file: string, cause: unknown): DeniedFileError | undefined {
  for (const path of [dirname(file), file, ...COMPANIONS.map(ending => file + ending)]) {
    try {
      accessSync(path, constants.R_OK | constants.W_OK)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') continue
      const reason = `${path} can't be read and written (${code}); check its owner and mode, and which user this is`
      return new DeniedFileError(reason, { cause })
    }
  }
  return undefined
}

/** True if a transaction was cut off and must be rolled back first, which needs a writable connection. */
export function isCutOff (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_READONLY_ROLLBACK'
}

/** True if another process holds the lock. */
export function isBusy (error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')
}

/** A key that is taken, or a reference to a row that does not exist. */
const REFUSED = new Set(['SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY', 'SQLITE_CONSTRAINT_FOREIGNKEY'])

/** A failed query, as rules see it. */
export function refusalOf (error: unknown): unknown {
  const isRefused = error instanceof Database.SqliteError && REFUSED.has(error.code)
  return isRefused ? new Refusal('a constraint refuses the row', { cause: error }) : error
}
