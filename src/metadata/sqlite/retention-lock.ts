import { Database } from './driver.ts'
import { lockFolder, type FolderLock } from './lock.ts'

/** A server that looks whether there is a hold has it for a moment itself. */
const LOOK_MILLISECONDS = 5000

/** The lock that stands for the hold on the blobs of the database in `file`. */
const retentionLockFile = (file: string) => `${file}-hold`

/**
 * Keeps every process from removing the bytes of blobs that a file has when this returns, or gets later, until `close` or
 * the death of this process, whatever becomes of the file. A backup takes it before its snapshot.
 * @throws {FolderInUseError} where another backup of the same database has it.
 */
export function takeRetentionLock (file: string): FolderLock {
  return lockFolder(retentionLockFile(file), { inUse: 'another backup of this data folder is being made', waitMilliseconds: LOOK_MILLISECONDS })
}

export interface RetentionLockWatch { isHeld (): boolean, close (): void }

/** Looks for the hold of others, which takes a few microseconds. */
export function watchRetentionLock (file: string): RetentionLockWatch {
  const client = new Database(retentionLockFile(file), { timeout: 0 })

  function isHeld (): boolean {
    try {
      // The table that every database has, here without a row: to read it takes a lock that goes with other looks, not with a hold.
      client.exec('SELECT 1 FROM sqlite_master')
      return false
    } catch (error) {
      if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return true
      throw error
    }
  }

  try {
    // Makes the file now: a full disk, which gets room by removing, would refuse it.
    isHeld()
  } catch (error) {
    client.close()
    throw error
  }
  return { isHeld, close: () => { client.close() } }
}
