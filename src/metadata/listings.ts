import { and, asc, between, type Column, desc, eq, gt, type SQL, sql } from 'drizzle-orm'
import { fileColumns, folderColumns } from './columns.ts'
import type {
  FileOrder, FilePage, FilePosition, FileRecord, FolderOrder, FolderPage, FolderRecord, MemberPage, SegmentPage
} from './records.ts'
import { isByChange } from './records.ts'
import {
  type Db, limitedTo, matching, pipeline, placeholder, type Preparable, prepared, query, type Rule
} from './rule.ts'
import type { Services } from './services.ts'
import type { Engine } from './engine.ts'
import type { Tables } from './schema.ts'
import { sortKeyOf, splitPath } from './paths.ts'

/** Reads pages of files. */
export function createFileListing ({ engine, tree }: Services) {
  const { tables } = engine
  const { files } = tables

  const select = (ownerId: number, condition: SQL | undefined, { order, limit }: { order: SQL[], limit: number }) =>
    query(db => db.select(fileColumns(tables)).from(files)
      .where(and(eq(files.ownerId, ownerId), condition)).orderBy(...order).limit(limit))

  function * listFolder (ownerId: number, folder: string | undefined, page: FilePage): Rule<FileRecord[]> {
    const sorting = sortingOf(page.order, files)
    const isIn = folder === undefined ? undefined : eq(files.folderId, yield * tree.idOf(ownerId, folder))
    const { limit } = page
    const parts = yield * pipeline(...partsAfter(sorting, page, engine)
      .map(part => select(ownerId, and(isIn, part), { order: ordering(sorting), limit })))
    return parts.flat().slice(0, limit)
  }

  /** The root comes first in both orders by name. */
  function * listAll (ownerId: number, page: FilePage): Rule<FileRecord[]> {
    const { order, after, limit } = page
    const inRoot = after === undefined || after.id === 0 ? yield * listFolder(ownerId, '', page) : []
    if (inRoot.length === limit) return inRoot
    const position = after?.id === 0 ? undefined : after
    const isBelowRoot = gt(files.folderId, 0)
    const end = position && sql`(${position.id}, ${position.key})`
    const place = sql`(${files.folderId}, ${files.name})`
    // One bound on each side: with two lower ones SQLite would seek to the first and scan to the second.
    const [direction, condition] = order === '-name'
      ? [desc, and(isBelowRoot, end && sql`${place} < ${end}`)]
      : [asc, end ? sql`${place} > ${end}` : isBelowRoot]
    const byFolder = { order: [direction(files.folderId), direction(files.name)], limit: limit - inRoot.length }
    return [...inRoot, ...yield * select(ownerId, condition, byFolder)]
  }

  return (ownerId: number, page: FilePage) => page.folder === undefined && !isByChange(page.order)
    ? listAll(ownerId, page)
    : listFolder(ownerId, page.folder, page)
}

/** Reads pages of the folders directly in a folder. */
export function createFolderListing ({ engine, tree }: Services) {
  const { folders } = engine.tables

  return function * (ownerId: number, path: string, page: FolderPage): Rule<FolderRecord[]> {
    const sorting = sortingByName(page.order, folders)
    const isIn = and(eq(folders.ownerId, ownerId), eq(folders.parentId, yield * tree.idOf(ownerId, path)))
    const [part] = partsAfter(sorting, page, engine)
    return yield * query(db => db.select(folderColumns(engine.tables)).from(folders)
      .where(and(isIn, part)).orderBy(...ordering(sorting)).limit(page.limit))
  }
}

/** What an order sorts by: a column, and another one if several rows can have the same value there. */
export interface SortColumns {
  readonly columns: readonly [Column] | readonly [Column, Column]
  readonly isAscending: boolean
}

export function sortingByName (order: FolderOrder, { name, sortKey }: Record<'name' | 'sortKey', Column>): SortColumns {
  return { columns: order.endsWith('natural') ? [sortKey, name] : [name], isAscending: !order.startsWith('-') }
}

export function sortingOf (order: FileOrder, files: Tables['files']): SortColumns {
  const { createdAt, changedAt, size, id } = files
  switch (order) {
    case 'newest':
    case 'oldest':
      return { columns: [createdAt, id], isAscending: order === 'oldest' }
    case 'changed':
    case '-changed':
      return { columns: [changedAt, id], isAscending: order === 'changed' }
    case 'largest':
    case 'smallest':
      return { columns: [size, id], isAscending: order === 'smallest' }
    default:
      return sortingByName(order, files)
  }
}

/** ORDER BY within a folder. It has a name only once: with the id PostgreSQL would sort again. */
function ordering ({ columns, isAscending }: SortColumns): SQL[] {
  return columns.map(column => isAscending ? asc(column) : desc(column))
}

/** Conditions for the parts of what comes after the previous page: the database seeks in the index to its end. */
function partsAfter (
  { columns: [column, second], isAscending }: SortColumns,
  { prefix = '', after }: { readonly prefix?: string | undefined, readonly after: FilePosition | undefined },
  { namesBetween, numbersAfter }: Engine
): (SQL | undefined)[] {
  if (second === undefined) {
    return [namesBetween(column, { prefix, after: after && String(after.key), isAscending })]
  }
  if (after === undefined) return [undefined]
  const { key, id } = after
  if (typeof key === 'string') {
    return [sql`(${column}, ${second}) ${isAscending ? sql`>` : sql`<`} (${sortKeyOf(key)}, ${key})`]
  }
  return numbersAfter([column, second], { key, id, isAscending })
}

/** Reads what is directly in folders, by name. */
export function createMembers ({ tables, isAmong }: Engine) {
  const { files, folders } = tables
  return {
    files: membersOf<FileRecord>({
      name: 'files_in',
      columns: files,
      placeOf: ({ folderId, name: path }) => ({ folderId, path }),
      select: (db, condition, order) => db.select(fileColumns(tables)).from(files).where(condition).orderBy(order)
    }, isAmong),
    folders: membersOf<FolderRecord>({
      name: 'folders_in',
      columns: { ownerId: folders.ownerId, folderId: folders.parentId, name: folders.name },
      placeOf: ({ parentId: folderId, path }) => ({ folderId, path }),
      select: (db, condition, order) => db.select(folderColumns(tables)).from(folders).where(condition).orderBy(order)
    }, isAmong)
  }
}

interface MembersOptions<Row> {
  /** Of its queries. */
  readonly name: string
  /** The columns that place a row in a folder. */
  readonly columns: Readonly<Record<'ownerId' | 'folderId' | 'name', Column>>
  readonly placeOf: (row: Row) => { folderId: number, path: string }
  readonly select: (db: Db, condition: SQL | undefined, order: SQL) => Preparable<Row[]>
}

function membersOf<Row> ({ name, columns, placeOf, select }: MembersOptions<Row>, isAmong: Engine['isAmong']) {
  const { folderId, name: segment } = columns
  const order = limitedTo(sql`${asc(folderId)}, ${asc(segment)}`, placeholder('limit'))
  const isAfter = and(matching(columns, 'ownerId', 'folderId'), gt(segment, placeholder('after')))
  // PostgreSQL before 17 reads the index of all folders, so the query also has a lower and an upper bound.
  const isBetween = between(folderId, placeholder('first'), placeholder('last'))
  const isInAny = and(matching(columns, 'ownerId'), isAmong(folderId, 'folderIds'), isBetween)
  const { ofFolder, ofFolders } = prepared(name, {
    ofFolder: db => select(db, isAfter, order),
    ofFolders: db => select(db, isInAny, order)
  })

  /** In a folder, those with a last segment after `after`; in the root for 0. */
  const list = (ownerId: number, folderId: number, { after = '', limit }: SegmentPage) =>
    ofFolder({ ownerId, folderId, after, limit })

  /** In any of some folders. Two queries: by one condition SQLite would scan to the position for every page. */
  function * listIn (ownerId: number, { folderIds, after, limit }: MemberPage<Row>): Rule<Row[]> {
    const last = after && placeOf(after)
    const begun = last === undefined
      ? []
      : yield * list(ownerId, last.folderId, { after: splitPath(last.path).name, limit })
    const others = folderIds.filter(id => last === undefined || id > last.folderId)
    if (others.length === 0) return begun
    const range = { first: Math.min(...others), last: Math.max(...others) }
    const values = { ownerId, folderIds: others, ...range, limit: limit - begun.length }
    return [...begun, ...yield * ofFolders(values)]
  }

  return { list, listIn }
}
