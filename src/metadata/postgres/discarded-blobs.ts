import { randomUUID } from 'node:crypto'
import { and, asc, eq, gt, inArray, lte, notExists, or, sql } from 'drizzle-orm'
import type { DatabaseBlobMethods } from '../blobs.ts'
import type { Engine } from '../engine.ts'
import { anyOf, type Db, isAny, prepared, query } from '../rule.ts'
import { discardedBlobs, retentionLocks } from './schema.ts'

/**
 * How long a process that got discarded blobs has to delete their bytes before another process gets them too, which
 * costs nothing but time. Short, because the server that follows one that was killed waits for it.
 */
const SWEEP_MILLISECONDS = 15_000

/** The discarded blobs of a database that any number of processes serve. */
export function createDiscardedBlobs ({ clock, read, apply, isUnlockedIn }: Engine): DatabaseBlobMethods {
  // Blobs that this process has taken are given to it again.
  const sweeper = randomUUID()
  const { anyLock } = prepared('retention_locks', {
    anyLock: anyOf(retentionLocks, gt(retentionLocks.expiresAt, clock))
  })

  return {
    async takeDiscarded (limit, graceSeconds) {
      // One statement sees one state: a blob that was discarded before a retention lock was taken is in no backup that
      // began after it.
      const free = (db: Db) => db.select({ id: discardedBlobs.id }).from(discardedBlobs).where(and(
        lte(discardedBlobs.discardedAt, sql`${clock} - ${graceSeconds * 1000}`),
        or(lte(discardedBlobs.takenUntil, clock), eq(discardedBlobs.takenBy, sweeper)),
        notExists(db.select({ id: retentionLocks.id }).from(retentionLocks).where(gt(retentionLocks.expiresAt, clock)))
      )).orderBy(asc(discardedBlobs.discardedAt), asc(discardedBlobs.id)).limit(limit)
      // Usually there is none, and a write costs a sync.
      if ((await read(() => query(free))).length === 0) return []
      const taken = await apply(() => query(db => db.update(discardedBlobs)
        .set({ takenBy: sweeper, takenUntil: sql`${clock} + ${SWEEP_MILLISECONDS}` })
        .where(isUnlockedIn(discardedBlobs.id, free(db)))
        .returning({ id: discardedBlobs.id, blobId: discardedBlobs.blobId, discardedAt: discardedBlobs.discardedAt })))
      return taken.sort((a, b) => a.discardedAt - b.discardedAt || a.id - b.id).map(row => row.blobId)
    },

    hasRetentionLock: () => read(() => anyLock({}, isAny)),

    postponeDiscarded: blobIds => apply(() => query(db => db.update(discardedBlobs).set({ discardedAt: clock })
      .where(inArray(discardedBlobs.blobId, blobIds)), () => {}))
  }
}

/** Until a retention lock expires, no bytes of discarded blobs are deleted. A backup renews its lock as it runs. */
export type RetentionLocks = ReturnType<typeof createRetentionLocks>

export function createRetentionLocks ({ clock, transact, apply }: Engine) {
  const expiry = (seconds: number) => sql`${clock} + ${seconds * 1000}`

  return {
    /** Commits the lock, which must happen before the backup reads which files there are. Returns its id. */
    takeRetentionLock: (seconds: number): Promise<number> => transact(function * () {
      yield * query(db => db.delete(retentionLocks).where(lte(retentionLocks.expiresAt, clock)))
      const [lock] = yield * query(db => db.insert(retentionLocks).values({ expiresAt: expiry(seconds) }).returning())
      return Number(lock?.id)
    }),

    /** False if the lock expired: bytes may have been deleted since. */
    renewRetentionLock: (id: number, seconds: number): Promise<boolean> => apply(() => query(db => db
      .update(retentionLocks)
      .set({ expiresAt: expiry(seconds) })
      .where(and(eq(retentionLocks.id, id), gt(retentionLocks.expiresAt, clock))).returning(), isAny)),

    releaseRetentionLock: (id: number): Promise<void> =>
      apply(() => query(db => db.delete(retentionLocks).where(eq(retentionLocks.id, id)), () => {}))
  }
}
