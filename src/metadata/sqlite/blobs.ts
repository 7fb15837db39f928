import { and, asc, eq, gt, inArray, isNull, lte, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { union } from 'drizzle-orm/sqlite-core'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import type { Committer } from './committer.ts'
import { limitedTo } from './paging.ts'
import type { RetentionLockWatch } from './retention-lock.ts'
import { blobLeases, discardedBlobs, files, kept } from './schema.ts'

type BlobRepository = Pick<Metadata,
  'knownBlobs' | 'leaseBlob' | 'renewLeases' | 'endLease' | 'abandonedBlobs' | 'clearAbandoned' | 'discardedBlobs' | 'hasDiscardedBlobs' | 'postponeDiscarded' | 'clearDiscarded'
>

/** How long a caller has to delete the bytes of an abandoned blob, before another caller gets it. */
const CLEAN_UP_MILLISECONDS = 10 * 60_000

/** A process that was paused may still finish its write, but not after a day. */
const ABANDONED_MILLISECONDS = 24 * 3600_000

export function createBlobRepository (db: BetterSQLite3Database, { commit, read }: Committer, retentionLock: RetentionLockWatch): BlobRepository {
  const oldestDiscarded = db.select().from(discardedBlobs).orderBy(limitedTo(asc(discardedBlobs.id), sql.placeholder('limit'))).prepare()
  const clear = db.delete(discardedBlobs).where(eq(discardedBlobs.blobId, sql.placeholder('blobId'))).prepare()
  const hasEnded = (now: number) => lte(blobLeases.expiresAt, now)
  const isAmong = (blobIds: string[]) => inArray(blobLeases.blobId, blobIds)

  return {
    knownBlobs: blobIds => read(() => new Set(union(
      db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds)),
      db.select({ blobId: kept.id }).from(kept).where(inArray(kept.id, blobIds))
    ).all().map(row => row.blobId))),

    leaseBlob: (blobId, seconds) => commit(() => { db.insert(blobLeases).values({ blobId, expiresAt: Date.now() + seconds * 1000 }).run() }),

    renewLeases: (blobIds, seconds) => commit(() => {
      db.update(blobLeases).set({ expiresAt: Date.now() + seconds * 1000 }).where(and(isAmong(blobIds), isNull(blobLeases.abandonedAt))).run()
    }),

    endLease: blobId => commit(() => { db.delete(blobLeases).where(eq(blobLeases.blobId, blobId)).run() }),

    async abandonedBlobs (limit) {
      const now = Date.now()
      const ended = db.select({ blobId: blobLeases.blobId }).from(blobLeases).where(hasEnded(now)).orderBy(asc(blobLeases.expiresAt)).limit(limit)
      // Usually there is none, and a transaction would cost a sync.
      if ((await read(() => ended.all())).length === 0) return []
      return commit(() => db.update(blobLeases)
        .set({ expiresAt: now + CLEAN_UP_MILLISECONDS, abandonedAt: sql`coalesce(${blobLeases.abandonedAt}, ${now})` })
        .where(inArray(blobLeases.blobId, ended)).returning({ blobId: blobLeases.blobId }).all().map(row => row.blobId))
    },

    clearAbandoned: blobIds => commit(() => {
      const dayAgo = Date.now() - ABANDONED_MILLISECONDS
      db.delete(blobLeases).where(and(isAmong(blobIds), lte(blobLeases.abandonedAt, dayAgo))).run()
      db.update(blobLeases).set({ expiresAt: sql`${blobLeases.abandonedAt} + ${ABANDONED_MILLISECONDS}` })
        .where(and(isAmong(blobIds), gt(blobLeases.abandonedAt, dayAgo))).run()
    }),

    discardedBlobs: (limit, graceSeconds) => read(() => {
      const before = Date.now() - graceSeconds * 1000
      // Filtered here, because those that must still wait are the last: a query would look through all of them.
      const ids = oldestDiscarded.all({ limit }).filter(row => row.discardedAt <= before).map(row => row.blobId)
      // The lock is checked after the query: a blob discarded while no backup ran is in no snapshot of a later backup.
      return retentionLock.isHeld() ? [] : ids
    }),

    hasDiscardedBlobs: () => read(() => oldestDiscarded.all({ limit: 1 }).length > 0),

    // The order is that of the ids, and a new row gets the highest one.
    postponeDiscarded: blobIds => commit(() => {
      const discardedAt = Date.now()
      for (const blobId of blobIds) {
        if (clear.run({ blobId }).changes > 0) db.insert(discardedBlobs).values({ blobId, discardedAt }).run()
      }
    }),

    clearDiscarded: blobIds => commit(() => { db.delete(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds)).run() })
  }
}

/** Ends the lease of a blob inside a transaction. @throws unavailable if it ran out. */
export function createLeaseEnder (db: BetterSQLite3Database): (blobId: string) => void {
  const end = db.delete(blobLeases).where(and(eq(blobLeases.blobId, sql.placeholder('blobId')), isNull(blobLeases.abandonedAt))).prepare()
  return blobId => {
    if (end.run({ blobId }).changes === 0) throw new Problem('unavailable', { detail: 'The lease of the new bytes ran out before they were stored.', headers: { 'retry-after': '1' } })
  }
}
