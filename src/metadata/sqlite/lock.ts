import { OperatorError } from '../../problems.ts'
import { Database } from './driver.ts'
import { failureOf, isBusy } from './failures.ts'

const IN_USE = 'another MagicStore server uses this data folder; stop it, or set DATA_DIR to another folder'

/** Another process has locked what this one needs; the message says what. */
export class FolderInUseError extends OperatorError {}

/** A lock on a folder, held until `close`. Closing it twice is no error. */
export interface FolderLock { close (): void }

interface LockOptions {
  /** The error message if another process holds the lock. */
  readonly inUse?: string
  /** How long to wait for the other process. */
  readonly waitMilliseconds?: number
}

/**
 * Locks the data folder, or anything else that `file` stands for, until `close` or the end of the process. The lock is
 * an open SQLite transaction, which ends with its process: Node has no `flock`, and a file with a pid goes stale.
 * @throws {FolderInUseError} if another process holds the lock, {DeniedFileError} if this user may not write it.
 */
export function lockFolder (file: string, { inUse = IN_USE, waitMilliseconds = 0 }: LockOptions = {}): FolderLock {
  let client: Database | undefined
  try {
    client = new Database(file, { timeout: waitMilliseconds })
    // Otherwise SQLite creates a journal beside the file, which fails on a full disk.
    client.pragma('journal_mode = MEMORY')
    client.exec('BEGIN EXCLUSIVE')
    return client
  } catch (error) {
    client?.close()
    if (isBusy(error)) throw new FolderInUseError(inUse, { cause: error })
    throw failureOf(error, file)
  }
}

/** How long a command waits for the writes of others. */
const WRITE_WAIT_MILLISECONDS = 10_000

/**
 * Runs `task`, which must be short, while no other process changes the database in `file`, nor runs such a task. Only
 * for commands: a server that waits for its own process would stand still.
 */
export async function withWriteLock<T> (file: string, task: () => Promise<T>): Promise<T> {
  const client = new Database(file, { fileMustExist: true, timeout: WRITE_WAIT_MILLISECONDS })
  try {
    client.exec('BEGIN IMMEDIATE')
    return await task()
  } finally {
    client.close()
  }
}

/** Whether a process holds the lock of `lockFolder`. Changes nothing. */
export function isLocked (file: string): boolean {
  try {
    const client = new Database(file, { readonly: true, fileMustExist: true, timeout: 0 })
    try {
      client.prepare('SELECT 1 FROM sqlite_master').get()
      return false
    } finally {
      client.close()
    }
  } catch (error) {
    return isBusy(error)
  }
}
