import { and, asc, eq, gt, inArray, isNull, lte, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { wholeName } from './columns.ts'
import type { StoredContent } from './records.ts'
import { anyOf, isAny, matching, placeholder, prepared, query, type QueryRule, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'

/** How long a caller has to delete the bytes of an abandoned blob, before another caller gets it. */
const CLEAN_UP_MILLISECONDS = 10 * 60_000

/** A process that was paused may still finish its write, but not after a day. */
const ABANDONED_MILLISECONDS = 24 * 3600_000

/** Adds blobs to those whose bytes are to be deleted, in the current transaction; undefined if there are none. */
export function createDiscard ({ tables: { discardedBlobs } }: Engine, noteRemoval: () => void) {
  const { one } = prepared('discarded_blobs', {
    one: db => db.insert(discardedBlobs).values({ blobId: placeholder('blobId'), discardedAt: placeholder('time') })
  })

  return (blobIds: readonly string[], time: number): QueryRule<unknown> | undefined => {
    if (blobIds.length === 0) return undefined
    noteRemoval()
    if (blobIds.length === 1) return one({ blobId: blobIds[0], time })
    return query(db => db.insert(discardedBlobs).values(blobIds.map(blobId => ({ blobId, discardedAt: time }))))
  }
}

/** Ends the lease of a blob in the current transaction. @throws unavailable if it ran out. */
export function createLeaseEnder ({ tables: { blobLeases } }: Engine) {
  const { end } = prepared('lease', {
    end: db => db.delete(blobLeases).where(and(matching(blobLeases, 'blobId'), isNull(blobLeases.abandonedAt)))
      .returning({ blobId: blobLeases.blobId })
  })

  return (blobId: string): QueryRule<void> => end({ blobId }, ended => {
    if (ended.length > 0) return
    const detail = 'The lease of the new bytes ran out before they were stored.'
    throw new Problem('unavailable', { detail, retrySeconds: 1 })
  })
}

/** Methods that each database implements itself. */
export interface DatabaseBlobMethods {
  /**
   * Blobs that were discarded `graceSeconds` ago or earlier, oldest first, at most `limit`: no file uses them, their
   * bytes can be deleted. Empty while a backup holds the retention lock. For recovery.
   */
  takeDiscarded (limit: number, graceSeconds: number): Promise<string[]>
  /** Moves discarded blobs whose bytes can't be deleted now behind all others. */
  postponeDiscarded (blobIds: string[]): Promise<void>
  /** Whether a backup holds the retention lock: until it ends, no bytes of discarded blobs are deleted. */
  hasRetentionLock (): Promise<boolean>
}

/**
 * What is known of blobs: which are in use, being written, or to be deleted. A part of the contract of
 * {@link Metadata}.
 */
export type BlobRepository = ReturnType<typeof createBlobs>

export function createBlobs (engine: Engine, own: DatabaseBlobMethods) {
  const { tables: { blobLeases, discardedBlobs, files, kept, uploads }, clock, isUnlockedIn } = engine
  const { read, transact, apply } = engine
  const { lease } = prepared('blobs', {
    lease: db => db.insert(blobLeases)
      .values({ blobId: placeholder('blobId'), expiresAt: inFuture(clock, placeholder('milliseconds')) })
      .onConflictDoNothing()
  })

  /** Those of the given blobs that a column has, of rows that match. */
  const findAmong = (blobIds: string[], ...columns: [column: PgColumn, matching?: SQL][]) => read(() => query(db => {
    const [first, ...others] = columns.map(([column, matching]) => db
      .select({ blobId: sql<string>`${column}`.as('blob_id') }).from(column.table)
      .where(and(inArray(column, blobIds), matching)))
    return others.reduce((union, part) => union.union(part) as never, first as NonNullable<typeof first>)
  }, rows => new Set(rows.map(({ blobId }) => blobId))))

  return {
    ...own,

    /** Those of the given blobs that belong to a file or are kept. For recovery. */
    findKnown: (blobIds: string[]): Promise<Set<string>> => findAmong(blobIds, [files.blobId], [kept.id]),

    /**
     * Those of the given blobs that belong to a file or an unfinished upload, are kept, are discarded or have a lease,
     * as of one moment. For recovery and fsck.
     */
    findReferenced: (blobIds: string[]): Promise<Set<string>> => findAmong(
      blobIds, [files.blobId], [kept.id], [uploads.blobId, isNull(uploads.result)], [discardedBlobs.blobId],
      [blobLeases.blobId]
    ),

    /** Those of the given blobs whose bytes are to be deleted. For fsck. */
    findDiscarded: (blobIds: string[]): Promise<Set<string>> => findAmong(blobIds, [discardedBlobs.blobId]),

    /**
     * What files of all owners contain and what is kept of them, by the id of the blob, at most `limit` above
     * `afterId`. For fsck and backup.
     */
    listContents (afterId: string, limit: number): Promise<StoredContent[]> {
      const { fileContent, keptContent } = contentsOf(engine.tables)
      // Each part is read in the order of its own index, and no further than needed.
      return read(() => query(db => {
        const first = db.select(fileContent).from(files).where(gt(files.blobId, afterId)).orderBy(asc(files.blobId))
          .limit(limit)
        const second = db.select(keptContent).from(kept).leftJoin(files, eq(files.id, kept.fileId))
          .where(and(gt(kept.id, afterId), isNull(kept.folder))).orderBy(asc(kept.id)).limit(limit)
        return db.select().from(first.as('of_files')).unionAll(db.select().from(second.as('of_kept')) as never)
          .orderBy(sql`1`).limit(limit)
      }) as Rule<StoredContent[]>)
    },

    /**
     * Records that the bytes of a blob are about to be written. Adding a file with that blob ends the lease, and fails
     * with `unavailable` if it ran out: another process may already delete the bytes. Only if `BlobStore.needsLeases`.
     */
    lease: (blobId: string, seconds: number): Promise<void> =>
      apply(() => lease({ blobId, milliseconds: seconds * 1000 }, () => {})),

    /** Prolongs leases that have not ended. */
    renewLeases: (blobIds: string[], seconds: number): Promise<void> => apply(() => query(db =>
      db.update(blobLeases).set({ expiresAt: inFuture(clock, seconds * 1000) })
        .where(and(inArray(blobLeases.blobId, blobIds), isNull(blobLeases.abandonedAt))), () => {})),

    /** Ends a lease whose bytes are deleted. */
    endLease: (blobId: string): Promise<void> =>
      apply(() => query(db => db.delete(blobLeases).where(eq(blobLeases.blobId, blobId)), () => {})),

    /**
     * Takes up to `limit` blobs whose lease ran out: their bytes can be deleted. Each is returned again a day after
     * `blobs.clearAbandoned`, in case a paused process wrote late. For recovery.
     */
    async takeAbandoned (limit: number): Promise<string[]> {
      // Usually there is none, and a write costs a sync.
      if (!(await read(() => query(anyOf(blobLeases, lte(blobLeases.expiresAt, clock)), isAny)))) return []
      // if the answer is lost, these are taken again later.
      return apply(() => query(db => db.update(blobLeases)
        .set({
          expiresAt: inFuture(clock, CLEAN_UP_MILLISECONDS),
          abandonedAt: sql`coalesce(${blobLeases.abandonedAt}, ${clock})`
        })
        .where(isUnlockedIn(blobLeases.blobId, db.select({ blobId: blobLeases.blobId }).from(blobLeases)
          .where(lte(blobLeases.expiresAt, clock)).orderBy(asc(blobLeases.expiresAt)).limit(limit)))
        .returning({ blobId: blobLeases.blobId }), rows => rows.map(({ blobId }) => blobId)))
    },

    /** The bytes of abandoned blobs were deleted. */
    clearAbandoned (blobIds: string[]): Promise<void> {
      const isOneOf = inArray(blobLeases.blobId, blobIds)
      const dayAgo = inFuture(clock, -ABANDONED_MILLISECONDS)
      const dayLater = sql`${blobLeases.abandonedAt} + cast(${ABANDONED_MILLISECONDS} AS bigint)`
      return transact(function * () {
        yield * query(db => db.delete(blobLeases).where(and(isOneOf, lte(blobLeases.abandonedAt, dayAgo))))
        yield * query(db => db.update(blobLeases).set({ expiresAt: dayLater })
          .where(and(isOneOf, gt(blobLeases.abandonedAt, dayAgo))))
      })
    },

    /** Whether discarded blobs wait for the removal of their bytes, also while a backup holds the retention lock. */
    hasDiscarded: (): Promise<boolean> => read(() => query(anyOf(discardedBlobs), isAny)),

    /** Deletes the records of discarded blobs. The caller has deleted their bytes. */
    clearDiscarded: (blobIds: string[]): Promise<void> => apply(() => query(db =>
      db.delete(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds)), () => {}))
  }
}

/** The columns of a `StoredContent`, of files and of kept content. */
function contentsOf ({ files, kept }: Tables) {
  type Kind = StoredContent['content']
  return {
    fileContent: {
      blobId: files.blobId,
      content: sql<Kind>`'file'`.as('content'),
      size: files.size,
      sha256: files.sha256,
      ownerId: files.ownerId,
      name: sql<string | null>`${wholeName(files)}`.as('file_name')
    },
    keptContent: {
      blobId: sql<string>`${kept.id}`.as('blob_id'),
      content: sql<Kind>`CASE WHEN ${kept.name} IS NULL THEN 'version' ELSE 'trash' END`.as('content'),
      size: kept.size,
      sha256: kept.sha256,
      ownerId: kept.ownerId,
      name: sql<string | null>`coalesce(${kept.name}, ${wholeName(files)})`.as('file_name')
    }
  }
}

function inFuture (clock: SQL<number>, milliseconds: number | Placeholder): SQL<number> {
  return sql`${clock} + cast(${milliseconds} AS bigint)`
}
