import Database from 'better-sqlite3'

/** Another process serves this data folder. */
export class FolderInUseError extends Error {}

export interface FolderLock { close (): void }

/**
 * Takes the data folder for this process until `close`, or its death: Node has no `flock`, and a file with a pid in it goes
 * stale, while the lock of an open SQLite transaction ends with its process.
 * @throws {FolderInUseError} where another process holds it.
 */
export function lockFolder (file: string): FolderLock {
  const client = new Database(file, { timeout: 0 })
  try {
    // Without this SQLite begins a journal beside the file, which a full disk refuses.
    client.pragma('journal_mode = MEMORY')
    client.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    client.close()
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) throw new FolderInUseError('another MagicStore serves this data folder', { cause: error })
    throw error
  }
  return client
}
