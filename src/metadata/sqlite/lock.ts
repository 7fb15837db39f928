import { OperatorError } from '../../problems.ts'
import { Database } from './driver.ts'

/** Another process has what this one needs for itself; the message says what. */
export class FolderInUseError extends OperatorError {}

/** A folder that this process has to itself until `close`; a second time is no error. */
export interface FolderLock { close (): void }

interface LockOptions {
  /** What the operator is told where another process has it. */
  readonly inUse?: string
  /** How long the other one is waited for. */
  readonly waitMilliseconds?: number
}

/**
 * Takes the data folder, or what else `file` stands for, for this process until `close`, or its death: Node has no `flock`,
 * and a file with a pid in it goes stale, while the lock of an open SQLite transaction ends with its process.
 * @throws {FolderInUseError} where another process holds it.
 */
export function lockFolder (file: string, { inUse = 'another MagicStore serves this data folder', waitMilliseconds = 0 }: LockOptions = {}): FolderLock {
  const client = new Database(file, { timeout: waitMilliseconds })
  try {
    // Without this SQLite begins a journal beside the file, which a full disk refuses.
    client.pragma('journal_mode = MEMORY')
    client.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    client.close()
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) throw new FolderInUseError(inUse, { cause: error })
    throw error
  }
  return client
}
