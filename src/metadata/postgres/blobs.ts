import { randomUUID } from 'node:crypto'
import { and, asc, eq, gt, inArray, isNull, lte, notExists, or, sql } from 'drizzle-orm'
import { union } from 'drizzle-orm/pg-core'
import type { Metadata } from '../metadata.ts'
import { clock, prepared, type Connections, type Db } from './connections.ts'
import { blobLeases, discardedBlobs, files, kept, retentionLocks } from './schema.ts'

type BlobRepository = Pick<Metadata,
  'knownBlobs' | 'leaseBlob' | 'renewLeases' | 'endLease' | 'abandonedBlobs' | 'clearAbandoned' | 'discardedBlobs' | 'hasDiscardedBlobs' | 'postponeDiscarded' | 'clearDiscarded'
>

/** Until a retention lock expires, no bytes of discarded blobs are given out to be deleted. A backup renews its lock while it runs. */
export interface RetentionLocks {
  /** Commits the lock, which must happen before the backup reads which files there are. Returns its id. */
  takeRetentionLock (seconds: number): Promise<number>
  /** False if the lock expired: bytes may have been deleted since. */
  renewRetentionLock (id: number, seconds: number): Promise<boolean>
  releaseRetentionLock (id: number): Promise<void>
}

/** How long a process that got abandoned blobs has to delete their bytes, before they are given out again. */
const CLEAN_UP_MILLISECONDS = 10 * 60_000

/**
 * How long a process that got discarded blobs has to delete their bytes before another process gets them too, which costs nothing
 * but time. Short, because the server that follows one that was killed waits for it.
 */
const SWEEP_MILLISECONDS = 15_000

/** A process that was paused may still finish its write, but not after a day. */
const ABANDONED_MILLISECONDS = 24 * 3600_000

const lease = prepared(db => db.insert(blobLeases).values({ blobId: sql.placeholder('blobId'), expiresAt: sql`${clock} + ${sql.placeholder('milliseconds')}` })
  .onConflictDoNothing().prepare('lease_blob'))

export function createBlobRepository ({ read, write, executeIdempotent }: Connections): BlobRepository {
  // Blobs that this process has claimed are given to it again.
  const sweeper = randomUUID()
  const isAmong = (blobIds: string[]) => inArray(blobLeases.blobId, blobIds)
  const hasEnded = lte(blobLeases.expiresAt, clock)

  return {
    knownBlobs: blobIds => read(async db => new Set((await union(
      db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds)),
      db.select({ blobId: kept.id }).from(kept).where(inArray(kept.id, blobIds))
    )).map(row => row.blobId))),

    leaseBlob: (blobId, seconds) => executeIdempotent(async db => { await lease(db).execute({ blobId, milliseconds: seconds * 1000 }) }),

    renewLeases: (blobIds, seconds) => executeIdempotent(async db => {
      await db.update(blobLeases).set({ expiresAt: sql`${clock} + ${seconds * 1000}` }).where(and(isAmong(blobIds), isNull(blobLeases.abandonedAt)))
    }),

    endLease: blobId => executeIdempotent(async db => { await db.delete(blobLeases).where(eq(blobLeases.blobId, blobId)) }),

    async abandonedBlobs (limit) {
      const ended = (db: Db) => db.select({ blobId: blobLeases.blobId }).from(blobLeases).where(hasEnded).orderBy(asc(blobLeases.expiresAt)).limit(limit)
      // Usually there is none, and a write costs a sync.
      if ((await read(ended)).length === 0) return []
      // If the answer is lost, these are given out again later.
      const claimed = await executeIdempotent(db => db.update(blobLeases)
        .set({ expiresAt: sql`${clock} + ${CLEAN_UP_MILLISECONDS}`, abandonedAt: sql`coalesce(${blobLeases.abandonedAt}, ${clock})` })
        .where(inArray(blobLeases.blobId, ended(db).for('update', { skipLocked: true }))).returning({ blobId: blobLeases.blobId }))
      return claimed.map(row => row.blobId)
    },

    clearAbandoned: blobIds => write(async db => {
      const dayAgo = sql`${clock} - ${ABANDONED_MILLISECONDS}`
      await db.delete(blobLeases).where(and(isAmong(blobIds), lte(blobLeases.abandonedAt, dayAgo)))
      await db.update(blobLeases).set({ expiresAt: sql`${blobLeases.abandonedAt} + ${ABANDONED_MILLISECONDS}` })
        .where(and(isAmong(blobIds), gt(blobLeases.abandonedAt, dayAgo)))
    }),

    async discardedBlobs (limit, graceSeconds) {
      // One statement sees one state: a blob that was discarded before a retention lock was taken is in no backup that began after it.
      const free = (db: Db) => db.select({ id: discardedBlobs.id }).from(discardedBlobs).where(and(
        lte(discardedBlobs.discardedAt, sql`${clock} - ${graceSeconds * 1000}`),
        or(lte(discardedBlobs.claimedUntil, clock), eq(discardedBlobs.claimedBy, sweeper)),
        notExists(db.select({ id: retentionLocks.id }).from(retentionLocks).where(gt(retentionLocks.expiresAt, clock)))
      )).orderBy(asc(discardedBlobs.discardedAt), asc(discardedBlobs.id)).limit(limit)
      // Usually there is none, and a write costs a sync.
      if ((await read(free)).length === 0) return []
      const claimed = await executeIdempotent(db => db.update(discardedBlobs).set({ claimedBy: sweeper, claimedUntil: sql`${clock} + ${SWEEP_MILLISECONDS}` })
        .where(inArray(discardedBlobs.id, free(db).for('update', { skipLocked: true }))).returning({ id: discardedBlobs.id, blobId: discardedBlobs.blobId, discardedAt: discardedBlobs.discardedAt }))
      return claimed.sort((a, b) => a.discardedAt - b.discardedAt || a.id - b.id).map(row => row.blobId)
    },

    hasDiscardedBlobs: () => read(async db => (await db.select({ id: discardedBlobs.id }).from(discardedBlobs).limit(1)).length > 0),

    postponeDiscarded: blobIds => executeIdempotent(async db => {
      await db.update(discardedBlobs).set({ discardedAt: clock }).where(inArray(discardedBlobs.blobId, blobIds))
    }),

    clearDiscarded: blobIds => executeIdempotent(async db => { await db.delete(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds)) })
  }
}

export function createRetentionLocks ({ write, executeIdempotent }: Connections): RetentionLocks {
  const expiry = (seconds: number) => sql`${clock} + ${seconds * 1000}`

  return {
    takeRetentionLock: seconds => write(async db => {
      await db.delete(retentionLocks).where(lte(retentionLocks.expiresAt, clock))
      const [lock] = await db.insert(retentionLocks).values({ expiresAt: expiry(seconds) }).returning()
      return Number(lock?.id)
    }),

    renewRetentionLock: (id, seconds) => executeIdempotent(async db => {
      const { rowCount } = await db.update(retentionLocks).set({ expiresAt: expiry(seconds) }).where(and(eq(retentionLocks.id, id), gt(retentionLocks.expiresAt, clock)))
      return rowCount === 1
    }),

    releaseRetentionLock: id => executeIdempotent(async db => { await db.delete(retentionLocks).where(eq(retentionLocks.id, id)) })
  }
}
