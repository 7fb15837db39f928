import { asc } from 'drizzle-orm'
import type { DatabaseBlobMethods } from '../blobs.ts'
import type { Engine } from '../engine.ts'
import { limitedTo, matching, placeholder, prepared, query } from '../rule.ts'
import type { RetentionLockWatch } from './retention-lock.ts'

/** The discarded blobs of a database that one process serves. Their order is that of the ids. */
export function createDiscardedBlobs (
  { tables: { discardedBlobs }, now, read, transact }: Engine, retentionLock: RetentionLockWatch
): DatabaseBlobMethods {
  const oldest = prepared('oldest_discarded', db => db.select().from(discardedBlobs).orderBy(limitedTo(asc(discardedBlobs.id), placeholder('limit'))))
  const clear = prepared('clear_discarded', db => db.delete(discardedBlobs).where(matching(discardedBlobs, 'blobId')).returning())

  return {
    claimDiscarded: (limit, graceSeconds) => read(function * () {
      const before = (yield * now()) - graceSeconds * 1000
      // Filtered here, because those that must still wait are the last: a query would look through all of them.
      const ids = (yield * query(oldest, { limit })).filter(row => row.discardedAt <= before).map(row => row.blobId)
      // The lock is checked after the query: a blob discarded while no backup ran is in no snapshot of a later backup.
      return retentionLock.isHeld() ? [] : ids
    }),

    hasRetentionLock: () => read(function * () { return retentionLock.isHeld() }),

    postponeDiscarded: blobIds => transact(function * () {
      const discardedAt = yield * now()
      // A new row gets the highest id.
      for (const blobId of blobIds) {
        const cleared = yield * query(clear, { blobId })
        if (cleared.length > 0) yield * query(db => db.insert(discardedBlobs).values({ blobId, discardedAt }))
      }
    })
  }
}
