import { asc } from 'drizzle-orm'
import type { DatabaseBlobMethods } from '../blobs.ts'
import type { Engine } from '../engine.ts'
import { limitedTo, matching, placeholder, prepared, query } from '../rule.ts'
import { Database } from './driver.ts'
import { isBusy } from './failures.ts'
import { type FolderLock, lockFolder } from './lock.ts'

/** The discarded blobs of a database that one process serves. Their order is that of the ids. */
export function createDiscardedBlobs (
  { tables: { discardedBlobs }, now, read, transact }: Engine, isLocked: () => boolean
): DatabaseBlobMethods {
  const { oldest, clear } = prepared('discarded', {
    oldest: db => db.select().from(discardedBlobs).orderBy(limitedTo(asc(discardedBlobs.id), placeholder('limit'))),
    clear: db => db.delete(discardedBlobs).where(matching(discardedBlobs, 'blobId')).returning()
  })

  return {
    takeDiscarded: (limit, graceSeconds) => read(function * () {
      const before = (yield * now()) - graceSeconds * 1000
      // Filtered here, because those that must still wait are the last: a query would look through all of them.
      const ids = (yield * oldest({ limit })).filter(row => row.discardedAt <= before).map(row => row.blobId)
      // The lock is checked after the query: a blob discarded while no backup ran is in no snapshot of a later backup.
      return isLocked() ? [] : ids
    }),

    hasRetentionLock: () => read(function * () { return isLocked() }),

    postponeDiscarded: blobIds => transact(function * () {
      const discardedAt = yield * now()
      // A new row gets the highest id.
      for (const blobId of blobIds) {
        const cleared = yield * clear({ blobId })
        if (cleared.length > 0) yield * query(db => db.insert(discardedBlobs).values({ blobId, discardedAt }))
      }
    })
  }
}

/** How long to wait: a server that checks the lock holds it for a moment. */
const WAIT_MILLISECONDS = 5000

/** The suffix stays as it was in the first version: processes of different versions must lock the same file. */
const retentionLockFile = (file: string) => `${file}-hold`

/**
 * Takes the retention lock of the database in `file`: until `close` or the end of this process, no process deletes the
 * bytes of a blob that a file has now or gets later, even if that file is deleted. A backup takes it before its
 * snapshot.
 * @throws {FolderInUseError} if another backup of the same database holds it.
 */
export function takeRetentionLock (file: string): FolderLock {
  return lockFolder(retentionLockFile(file), {
    inUse: 'another backup of this data folder is running', waitMilliseconds: WAIT_MILLISECONDS
  })
}

/**
 * Opens a watch on the retention lock of the database in `file`. `isHeld` tells whether another process holds it, in a
 * few microseconds.
 */
export function watchRetentionLock (file: string) {
  const client = new Database(retentionLockFile(file), { timeout: 0 })

  function isHeld (): boolean {
    try {
      // Reading a table takes a shared lock, which fails while the lock is held. This table is in every database.
      client.exec('SELECT 1 FROM sqlite_master')
      return false
    } catch (error) {
      if (isBusy(error)) return true
      throw error
    }
  }

  try {
    // Creates the file now: on a full disk, where deleting needs it, that would fail.
    isHeld()
  } catch (error) {
    client.close()
    throw error
  }
  return { isHeld, close: () => { client.close() } }
}
