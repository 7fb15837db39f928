import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, lt, ne, or, sql, type SQL } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { FURTHEST_AHEAD_MILLISECONDS, type Keeping } from '../kept.ts'
import type { FileRecord, NewFile } from '../records.ts'
import { limitedTo } from './paging.ts'
import { accounts, discardedBlobs, kept } from './schema.ts'

export type KeptRow = typeof kept.$inferSelect

/** Changes kept content in the current transaction, and with it the usage of its owner and the discarded blobs. */
export interface KeptWriter {
  /**
   * Keeps the current content of a file as a version, unless `next` has the same bytes or no versions are kept. Its time is
   * `keptAt`, or later, so that it is the newest version. Returns how many more bytes are kept.
   */
  replaced (current: FileRecord, next: Pick<NewFile, 'size' | 'sha256'>, keptAt: number): number
  /** Keeps a deleted file, as the newest in the trash, or deletes its versions too. */
  deleted (file: FileRecord, keptAt: number, isPermanent: boolean): void
  /** Removes an entry whose blob a file uses again. */
  take (row: KeptRow): void
  /** Deletes what matches, and the versions of deleted files among it. Returns its bytes. */
  remove (matching: SQL | undefined): number
  /** Deletes the owner's longest-kept content until `bytes` are free, that of the blob `newest` last. */
  makeRoom (ownerId: number, bytes: number, newest?: string): void
  discard (blobId: string): void
}

export function createKeptWriter (db: BetterSQLite3Database, keeping: Keeping): KeptWriter {
  const { placeholder } = sql
  const insert = db.insert(kept).values({
    id: placeholder('blobId'),
    ownerId: placeholder('ownerId'),
    fileId: placeholder('id'),
    name: placeholder('deletedName'),
    size: placeholder('size'),
    type: placeholder('type'),
    sha256: placeholder('sha256'),
    storedAt: placeholder('storedAt'),
    createdAt: placeholder('deletedCreatedAt'),
    keptAt: placeholder('keptAt')
  }).prepare()
  const discarding = db.insert(discardedBlobs).values({ blobId: placeholder('blobId'), discardedAt: placeholder('now') }).prepare()
  const charging = db.update(accounts).set({ keptBytes: sql`${accounts.keptBytes} + ${placeholder('bytes')}` }).where(eq(accounts.id, placeholder('ownerId'))).prepare()
  const removal = db.delete(kept).where(eq(kept.id, placeholder('id'))).prepare()
  const versions = db.select().from(kept).where(and(eq(kept.fileId, placeholder('fileId')), isNull(kept.name))).prepare()
  const surplus = db.select().from(kept).where(and(eq(kept.fileId, placeholder('fileId')), isNull(kept.name)))
    .orderBy(limitedTo(sql`${desc(kept.keptAt)}, ${desc(kept.id)}`, -1, keeping.versions)).prepare()
  // Each reads one entry of an index. Of a file that exists only versions are kept.
  const next = { keptAt: sql<number>`coalesce(max(${kept.keptAt}) + 1, 0)` }
  const nextVersion = db.select(next).from(kept).where(eq(kept.fileId, placeholder('fileId'))).prepare()
  const nextDeleted = db.select(next).from(kept)
    .where(and(eq(kept.ownerId, placeholder('ownerId')), isNotNull(kept.name), lt(kept.keptAt, placeholder('end')))).prepare()
  // Deleting empty content frees nothing.
  const oldest = db.select().from(kept).where(and(
    eq(kept.ownerId, placeholder('ownerId')), gt(kept.size, 0), ne(kept.id, placeholder('newest')), sql`(${kept.keptAt}, ${kept.id}) > (${placeholder('keptAt')}, ${placeholder('id')})`
  )).orderBy(limitedTo(sql`${asc(kept.keptAt)}, ${asc(kept.id)}`, 1)).prepare()
  const byId = db.select().from(kept).where(and(eq(kept.id, placeholder('id')), gt(kept.size, 0))).prepare()

  function discard (blobId: string): void {
    discarding.run({ blobId, now: Date.now() })
  }

  function add (file: FileRecord, keptAt: number, deleted: { deletedName: string | null, deletedCreatedAt: number | null }): void {
    insert.run({ ...file, ...deleted, keptAt })
    charging.run({ ownerId: file.ownerId, bytes: file.size })
  }

  /** Later than all other versions, also if the clock was set back. */
  function timeOfVersion ({ id: fileId }: FileRecord, keptAt: number): number {
    return Math.max(keptAt, Number(nextVersion.get({ fileId })?.keptAt))
  }

  /** Later than the rest of the trash. In a burst of deletions, many in one millisecond, it runs ahead of the clock. */
  function timeOfDeletion ({ ownerId }: FileRecord, keptAt: number): number {
    return Math.max(keptAt, Number(nextDeleted.get({ ownerId, end: keptAt + FURTHEST_AHEAD_MILLISECONDS })?.keptAt))
  }

  function take ({ id, ownerId, size }: KeptRow): void {
    removal.run({ id })
    charging.run({ ownerId, bytes: -size })
  }

  /** Returns the bytes that were kept. */
  function drop (rows: KeptRow[]): number {
    for (const row of rows) {
      take(row)
      discard(row.id)
    }
    return rows.reduce((sum, { size }) => sum + size, 0)
  }

  return {
    replaced (current, { size, sha256 }, keptAt) {
      if (keeping.milliseconds === 0 || keeping.versions === 0 || (current.size === size && current.sha256 === sha256)) {
        discard(current.blobId)
        return 0
      }
      add(current, timeOfVersion(current, keptAt), { deletedName: null, deletedCreatedAt: null })
      return current.size - drop(surplus.all({ fileId: current.id }))
    },

    deleted (file, keptAt, isPermanent) {
      if (keeping.milliseconds > 0 && !isPermanent) {
        return add(file, timeOfDeletion(file, keptAt), { deletedName: file.name, deletedCreatedAt: file.createdAt })
      }
      discard(file.blobId)
      drop(versions.all({ fileId: file.id }))
    },

    take,

    remove (matching) {
      const rows = db.select().from(kept).where(matching).all()
      const deletedFiles = rows.filter(row => row.name !== null).map(row => row.fileId)
      const all = deletedFiles.length === 0 ? rows : db.select().from(kept).where(or(matching, inArray(kept.fileId, deletedFiles))).all()
      return drop(all)
    },

    makeRoom (ownerId, bytes, newest = '') {
      let missing = bytes
      // Each after the one before: what is not deleted is not read again.
      let row: KeptRow | undefined
      while (missing > 0) {
        row = oldest.get({ ownerId, newest, keptAt: row?.keptAt ?? 0, id: row?.id ?? '' }) ?? byId.get({ id: newest })
        if (row === undefined) return
        missing -= drop(row.name === null ? [row] : [row, ...versions.all({ fileId: row.fileId })])
      }
    },

    discard
  }
}

/** The versions of a file that exist: not those that have expired, or are beyond the newest few. */
export function newestVersions (db: BetterSQLite3Database, { milliseconds, versions }: Keeping, { fileId, now }: { fileId: number, now: number }) {
  return db.select().from(kept).where(and(eq(kept.fileId, fileId), isNull(kept.name), sql`${kept.keptAt} > ${now - milliseconds}`))
    .orderBy(desc(kept.keptAt), desc(kept.id)).limit(versions).as('newest')
}

/** How many versions a restore of a deleted file brings back. */
export function versionCount ({ milliseconds, versions }: Keeping, now: number): SQL<number> {
  return sql<number>`min(${versions}, (SELECT count(*) FROM ${kept} AS v WHERE v.file_id = ${sql.raw('kept.file_id')} AND v.name IS NULL AND v.kept_at > ${now - milliseconds}))`
}
