import { and, asc, type Column, eq, gt, gte, lte, type SQL, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { fileColumns, folderColumns } from './file-columns.ts'
import { limitedTo } from './paging.ts'
import { splitPath } from './paths.ts'
import type { FileRecord, FolderRecord, MemberPage } from './records.ts'
import { type Db, placeholder, type Preparable, prepared, query, type Rule } from './rule.ts'

type ReadPage<Row> = (ownerId: number, page: MemberPage<Row>) => Rule<Row[]>

/** The columns of a table by which its rows are in folders. */
interface PlaceColumns { readonly ownerId: Column, readonly folderId: Column, readonly name: Column }

interface Members<Row> {
  /** Of its queries. */
  readonly name: string
  readonly columns: PlaceColumns
  readonly placeOf: (row: Row) => { folderId: number, path: string }
  readonly select: (db: Db, condition: SQL | undefined, order: SQL) => Preparable<Row[]>
}

/** Reads files directly in any of some folders. */
export function fileMembers ({ tables, isAmong }: Engine): ReadPage<FileRecord> {
  const { files } = tables
  return membersOf({
    name: 'files_in',
    columns: files,
    placeOf: ({ folderId, name: path }) => ({ folderId, path }),
    select: (db, condition, order) => db.select(fileColumns(tables)).from(files).where(condition).orderBy(order)
  }, isAmong)
}

/** Reads folders directly in any of some folders. */
export function folderMembers ({ tables, isAmong }: Engine): ReadPage<FolderRecord> {
  const { folders } = tables
  return membersOf({
    name: 'folders_in',
    columns: { ownerId: folders.ownerId, folderId: folders.parentId, name: folders.name },
    placeOf: ({ parentId: folderId, path }) => ({ folderId, path }),
    select: (db, condition, order) => db.select(folderColumns(tables)).from(folders).where(condition).orderBy(order)
  }, isAmong)
}

function membersOf<Row> (
  { name, columns: { ownerId, folderId, name: segment }, placeOf, select }: Members<Row>, isAmong: Engine['isAmong']
): ReadPage<Row> {
  const isOwn = eq(ownerId, placeholder('ownerId'))
  const order = limitedTo(sql`${asc(folderId)}, ${asc(segment)}`, placeholder('limit'))
  const isAfter = and(isOwn, eq(folderId, placeholder('folderId')), gt(segment, placeholder('name')))
  const rest = prepared(`${name}_after`, db => select(db, isAfter, order))
  // PostgreSQL before 17 reads the index over all folders from the first to the last, so that these are told, too.
  const isBetween = and(gte(folderId, placeholder('first')), lte(folderId, placeholder('last')))
  const all = prepared(name, db => select(db, and(isOwn, isAmong(folderId, 'folderIds'), isBetween), order))

  // Two queries: by a condition for both, SQLite would scan a folder up to the position again for every page.
  return function * (owner, { folderIds, after, limit }) {
    const last = after && placeOf(after)
    const begun = last === undefined
      ? []
      : yield * query(rest, { ownerId: owner, folderId: last.folderId, name: splitPath(last.path).name, limit })
    const others = folderIds.filter(id => last === undefined || id > last.folderId)
    if (others.length === 0) return begun
    const range = { first: Math.min(...others), last: Math.max(...others) }
    const missing = { ownerId: owner, folderIds: others, ...range, limit: limit - begun.length }
    return [...begun, ...yield * query(all, missing)]
  }
}
