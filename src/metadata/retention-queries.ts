import { and, asc, type Column, desc, eq, gt, inArray, isNotNull, isNull, lte, type SQL, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { fileColumns, hasPath, retainedColumns } from './columns.ts'
import type { ContentPage, RetainedRow, RetentionPolicy, VersionRecord } from './retention-records.ts'
import { splitPath } from './paths.ts'
import { type Db } from './rule.ts'

/** Content by its id, its owner, and when it was kept. */
export interface Found { readonly id: string, readonly ownerId: number, readonly keptAt: number }

/** Queries of kept content. Those of one version, one entry or a list find nothing that has expired. */
export function retentionQueries ({ tables, clock }: Engine, { milliseconds, versions: maxVersions }: RetentionPolicy) {
  const { deletions, files, kept } = tables
  const columns = retainedColumns(tables)
  const expiry = sql`${clock} - cast(${milliseconds} AS bigint)`
  const isLive = gt(kept.keptAt, expiry)
  const isBefore = (after: ContentPage['after']) =>
    after && sql`(${kept.keptAt}, ${kept.id}) < (${after.key}, ${after.id})`

  /** The versions of a file that exist: not those that have expired, or are beyond the newest few. */
  const isVersionOf = (fileId: Column | number) => and(isLive, sql`${kept.id} IN (SELECT v.id FROM kept v
    WHERE v.file_id = ${fileId} AND v.name IS NULL ORDER BY v.kept_at DESC, v.id DESC LIMIT ${maxVersions})`)

  const oldest = (condition: SQL | undefined, limit: number) => (db: Db) => db
    .select({ id: kept.id, ownerId: kept.ownerId, size: kept.size, keptAt: kept.keptAt }).from(kept)
    .where(condition).orderBy(asc(kept.keptAt), asc(kept.id)).limit(limit)

  const still = (found: readonly Found[], condition: SQL | undefined) => (db: Db) => db
    .select({ id: kept.id }).from(kept).where(and(inArray(kept.id, found.map(({ id }) => id)), condition))

  function withContents (condition: SQL | undefined, order: (keyof typeof columns)[], limit: number) {
    // Raw SQL: in a query of one table Drizzle omits the table's name.
    const contents = sql`(SELECT count(*) FROM kept k WHERE k.file_id = kept.file_id)`.mapWith(Number)
    // Counted after the limit: otherwise PostgreSQL takes the index by age, which has the content of all owners.
    return (db: Db) => {
      const page = db.select().from(kept).where(condition).orderBy(...order.map(key => asc(kept[key]))).limit(limit)
        .as('kept')
      return db.select({ id: page.id, folder: page.folder, contents }).from(page)
        .orderBy(...order.map(key => asc(page[key])))
    }
  }

  return {
    /** Conditions for entries of the trash. Those of a deletion are files and folders. */
    isFile: isNotNull(kept.name),
    isAlone: and(isNotNull(kept.name), isNull(kept.deletedWith)),
    isOf: (deletedWith: string) => eq(kept.deletedWith, deletedWith),

    versionsOf: (ownerId: number, fileId: number, { after, limit }: ContentPage) => (db: Db) => db
      .select(columns).from(kept)
      .where(and(eq(kept.fileId, fileId), eq(kept.ownerId, ownerId), isVersionOf(fileId), isBefore(after)))
      .orderBy(desc(kept.keptAt), desc(kept.id)).limit(limit),

    versionById: (ownerId: number, name: string, id: string) => (db: Db) => db
      .select({ file: fileColumns(tables), version: columns }).from(files).innerJoin(kept, eq(kept.fileId, files.id))
      .where(and(hasPath(tables, { ownerId, ...splitPath(name) }), eq(kept.id, id), isVersionOf(files.id))),

    /** Entries of the trash that match. */
    entries (ownerId: number, { after, limit }: ContentPage, condition: SQL | undefined) {
      // How many versions a restore brings back.
      const versions = sql`(SELECT count(*) FROM (SELECT 1 FROM kept v WHERE v.file_id = kept.file_id AND v.name IS NULL
        AND v.kept_at > ${expiry} LIMIT ${maxVersions}) newest)`.mapWith(Number)
      return (db: Db) => db.select({ ...columns, versions }).from(kept)
        .where(and(eq(kept.ownerId, ownerId), condition, isLive, isBefore(after)))
        .orderBy(desc(kept.keptAt), desc(kept.id)).limit(limit)
    },

    entryById: (ownerId: number, id: string) => (db: Db) => db.select(columns).from(kept)
      .where(and(eq(kept.id, id), eq(kept.ownerId, ownerId), isNotNull(kept.name), isLive)),

    /** Deletions of more than a file, newest first. */
    deletionsOf: (ownerId: number, { after, limit }: ContentPage) => (db: Db) => db.select().from(deletions)
      .where(and(
        eq(deletions.ownerId, ownerId),
        gt(deletions.deletedAt, expiry),
        after && sql`(${deletions.deletedAt}, ${deletions.id}) < (${after.key}, ${after.id})`
      )).orderBy(desc(deletions.deletedAt), desc(deletions.id)).limit(limit),

    deletionById: (ownerId: number, id: string) => (db: Db) => db.select().from(deletions)
      .where(and(eq(deletions.id, id), eq(deletions.ownerId, ownerId), gt(deletions.deletedAt, expiry))),

    /** Entries that one deletion took, the first deleted first. */
    entriesOf: (ownerId: number, deletedWith: string, { after, limit }: ContentPage) => (db: Db) => db
      .select(columns).from(kept).where(and(
        eq(kept.ownerId, ownerId),
        eq(kept.deletedWith, deletedWith),
        isLive,
        after && sql`(${kept.keptAt}, ${kept.id}) > (${after.key}, ${after.id})`
      )).orderBy(asc(kept.keptAt), asc(kept.id)).limit(limit),

    /** The oldest files of a trash, with the number of their contents. */
    oldestFiles: (ownerId: number, limit: number) =>
      withContents(and(eq(kept.ownerId, ownerId), isNotNull(kept.name)), ['keptAt', 'id'], limit),

    /** The same of what one deletion took, or all deletions. */
    oldestOfDeletions: (ownerId: number, limit: number, deletedWith: string | undefined) => withContents(
      and(
        eq(kept.ownerId, ownerId),
        deletedWith === undefined ? isNotNull(kept.deletedWith) : eq(kept.deletedWith, deletedWith)
      ),
      ['deletedWith', 'keptAt', 'id'],
      limit
    ),

    expired: (limit: number) => oldest(lte(kept.keptAt, expiry), limit),

    /** The longest-kept content of an owner, or of all, except empty content. */
    oldestOf: (ownerId: number | undefined, limit: number) =>
      oldest(and(gt(kept.size, 0), ownerId === undefined ? undefined : eq(kept.ownerId, ownerId)), limit),

    /** Which of these are still expired, and belong to one of the owners. */
    stillExpired: (found: readonly Found[], ownerIds: readonly number[]) =>
      still(found, and(inArray(kept.ownerId, ownerIds), lte(kept.keptAt, expiry))),

    /** Which of these are still old: content that was restored and replaced again in the meantime is not. */
    stillOld: (found: readonly Found[]) => still(found, lte(kept.keptAt, found.at(-1)?.keptAt ?? 0))
  }
}

/** What versions and entries of the trash have in common. */
export function formerContent (row: RetainedRow, { milliseconds }: RetentionPolicy): VersionRecord {
  const {
    name: _name, createdAt: _createdAt, deletedWith: _deletedWith, folder: _folder, isStarred: _isStarred, ...content
  } = row
  return { ...content, expiresAt: content.keptAt + milliseconds }
}
