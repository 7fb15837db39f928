import { and, asc, eq, gt, inArray, isNull, lte, type Placeholder, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { BlobRepository } from './metadata.ts'
import type { StoredContent } from './records.ts'
import { type Ask, ask, reading, writing, type Rule } from './rule.ts'

const { placeholder } = sql

/** How long a caller has to delete the bytes of an abandoned blob, before another caller gets it. */
const CLEAN_UP_MILLISECONDS = 10 * 60_000

/** A process that was paused may still finish its write, but not after a day. */
const ABANDONED_MILLISECONDS = 24 * 3600_000

/** Adds blobs to those whose bytes are to be deleted, in the current transaction; undefined if there are none. */
export type Discard = (blobIds: readonly string[], time: number) => Ask<unknown> | undefined

export function createDiscard ({ tables: { discardedBlobs } }: Engine): Discard {
  const one = writing('discard_blob', db => db.insert(discardedBlobs).values({ blobId: placeholder('blobId'), discardedAt: placeholder('time') }))

  return (blobIds, time) => {
    if (blobIds.length === 0) return undefined
    if (blobIds.length === 1) return ask(one, { blobId: blobIds[0], time })
    return ask(writing('', db => db.insert(discardedBlobs).values(blobIds.map(blobId => ({ blobId, discardedAt: time })))))
  }
}

/** Ends the lease of a blob in the current transaction. @throws unavailable if it ran out. */
export type EndLease = (blobId: string) => Ask<void>

export function createLeaseEnder ({ tables: { blobLeases } }: Engine): EndLease {
  const end = writing('end_lease', db => db.delete(blobLeases)
    .where(and(eq(blobLeases.blobId, placeholder('blobId')), isNull(blobLeases.abandonedAt))).returning({ blobId: blobLeases.blobId }))

  return blobId => ask(end, { blobId }, ended => {
    if (ended.length === 0) throw new Problem('unavailable', { detail: 'The lease of the new bytes ran out before they were stored.', headers: { 'retry-after': '1' } })
  })
}

/** What the databases do in ways of their own. */
export type OwnBlobMethods = Pick<BlobRepository, 'claimDiscarded' | 'postponeDiscarded' | 'hasRetentionLock'>

export function createBlobRepository ({ tables, clock, read, apply, transact, skippingLocked }: Engine, own: OwnBlobMethods): BlobRepository {
  const { blobLeases, discardedBlobs, files, kept, uploads } = tables
  const expiry = (milliseconds: number | Placeholder) => sql`${clock} + cast(${milliseconds} AS bigint)`
  const lease = writing('lease_blob', db => db.insert(blobLeases).values({ blobId: placeholder('blobId'), expiresAt: expiry(placeholder('milliseconds')) }).onConflictDoNothing())
  const anyDiscarded = reading('discarded_blob', db => db.select({ id: discardedBlobs.id }).from(discardedBlobs).limit(1))
  const isOneOf = (blobIds: string[]) => inArray(blobLeases.blobId, blobIds)

  type Kind = StoredContent['content']
  const fileContent = { blobId: files.blobId, content: sql<Kind>`'file'`.as('content'), size: files.size, sha256: files.sha256, ownerId: files.ownerId, name: sql<string | null>`${files.name}`.as('file_name') }
  const keptContent = {
    blobId: sql<string>`${kept.id}`.as('blob_id'),
    content: sql<Kind>`CASE WHEN ${kept.name} IS NULL THEN 'version' ELSE 'trash' END`.as('content'),
    size: kept.size,
    sha256: kept.sha256,
    ownerId: kept.ownerId,
    name: sql<string | null>`coalesce(${kept.name}, ${files.name})`.as('file_name')
  }

  return {
    ...own,

    findKnown: blobIds => read(function * () {
      const rows = yield * ask(reading('', db => db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds))
        .union(db.select({ blobId: kept.id }).from(kept).where(inArray(kept.id, blobIds)))))
      return new Set(rows.map(row => row.blobId))
    }),

    findReferenced: blobIds => read(function * () {
      const rows = yield * ask(reading('', db => db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds))
        .union(db.select({ blobId: kept.id }).from(kept).where(inArray(kept.id, blobIds)))
        .union(db.select({ blobId: uploads.blobId }).from(uploads).where(and(inArray(uploads.blobId, blobIds), isNull(uploads.result))))
        .union(db.select({ blobId: discardedBlobs.blobId }).from(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds)))
        .union(db.select({ blobId: blobLeases.blobId }).from(blobLeases).where(inArray(blobLeases.blobId, blobIds)))))
      return new Set(rows.map(row => row.blobId))
    }),

    // Each part is read in the order of its own index, and no further than needed.
    listContents: (afterId, limit) => read(() => ask(reading('', db => {
      const first = db.select(fileContent).from(files).where(gt(files.blobId, afterId)).orderBy(asc(files.blobId)).limit(limit).as('of_files')
      const second = db.select(keptContent).from(kept).leftJoin(files, eq(files.id, kept.fileId)).where(gt(kept.id, afterId)).orderBy(asc(kept.id)).limit(limit).as('of_kept')
      return db.select().from(first).unionAll(db.select().from(second) as never).orderBy(sql`1`).limit(limit)
    })) as Rule<StoredContent[]>),

    lease: (blobId, seconds) => apply(function * () { yield * ask(lease, { blobId, milliseconds: seconds * 1000 }) }),

    renewLeases: (blobIds, seconds) => apply(function * () {
      yield * ask(writing('', db => db.update(blobLeases).set({ expiresAt: expiry(seconds * 1000) }).where(and(isOneOf(blobIds), isNull(blobLeases.abandonedAt)))))
    }),

    endLease: blobId => apply(function * () { yield * ask(writing('', db => db.delete(blobLeases).where(eq(blobLeases.blobId, blobId)))) }),

    async claimAbandoned (limit) {
      const ended = reading('', db => db.select({ blobId: blobLeases.blobId }).from(blobLeases).where(lte(blobLeases.expiresAt, clock)).limit(1))
      // Usually there is none, and a write costs a sync.
      if ((await read(() => ask(ended))).length === 0) return []
      // If the answer is lost, these are given out again later.
      return apply(function * () {
        const claimed = yield * ask(writing('', db => db.update(blobLeases)
          .set({ expiresAt: expiry(CLEAN_UP_MILLISECONDS), abandonedAt: sql`coalesce(${blobLeases.abandonedAt}, ${clock})` })
          .where(inArray(blobLeases.blobId, skippingLocked(db.select({ blobId: blobLeases.blobId }).from(blobLeases)
            .where(lte(blobLeases.expiresAt, clock)).orderBy(asc(blobLeases.expiresAt)).limit(limit)) as never))
          .returning({ blobId: blobLeases.blobId })))
        return claimed.map(row => row.blobId)
      })
    },

    clearAbandoned: blobIds => transact(function * () {
      const dayAgo = expiry(-ABANDONED_MILLISECONDS)
      yield * ask(writing('', db => db.delete(blobLeases).where(and(isOneOf(blobIds), lte(blobLeases.abandonedAt, dayAgo)))))
      yield * ask(writing('', db => db.update(blobLeases).set({ expiresAt: sql`${blobLeases.abandonedAt} + cast(${ABANDONED_MILLISECONDS} AS bigint)` })
        .where(and(isOneOf(blobIds), gt(blobLeases.abandonedAt, dayAgo)))))
    }),

    hasDiscarded: () => read(() => ask(anyDiscarded, {}, found => found.length > 0)),

    clearDiscarded: blobIds => apply(function * () { yield * ask(writing('', db => db.delete(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds)))) })
  }
}
