import { and, asc, type Column, desc, eq, getTableColumns, getTableName, type SQL, sql } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import { fileColumns, folderColumns } from './columns.ts'
import { type SortColumns, sortingByName, sortingOf } from './listings.ts'
import { sortKeyOf } from './paths.ts'
import type { FileOrder, FilePosition, FileRecord, FolderOrder, FolderRecord, StarredPage } from './records.ts'
import { query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** How many an order other than by name sorts at most: with SQLite this takes 14 ms. */
const MAX_SORTED = 10_000

interface StarredTable {
  readonly table: PgTable
  /** The columns of a row that is returned. */
  readonly selected: Record<string, PgColumn | SQL>
  /** Where each row is, and whether it has a star. */
  readonly place: Readonly<Record<'ownerId' | 'folderId' | 'name' | 'isStarred', Column>>
}

/** Reads pages of the files that have a star. */
export function createStarredFiles (services: Services) {
  const { tables } = services.engine
  const { files } = tables
  const list = createStarredListing<FileRecord>(services, { table: files, selected: fileColumns(tables), place: files })
  return (ownerId: number, page: StarredPage<FileOrder>) => list(ownerId, sortingOf(page.order, files), page)
}

/** Reads pages of the folders that have a star. */
export function createStarredFolders (services: Services) {
  const { tables } = services.engine
  const { folders } = tables
  const place = { ...getTableColumns(folders), folderId: folders.parentId }
  const selected = folderColumns(tables)
  const list = createStarredListing<FolderRecord>(services, { table: folders, selected, place })
  return (ownerId: number, page: StarredPage<FolderOrder>) => list(ownerId, sortingByName(page.order, folders), page)
}

/**
 * The index of what has a star is in the order of folders and names. Other orders sort the first {@link MAX_SORTED} in
 * it: an account that has more must not make others wait.
 */
function createStarredListing<Row> ({ tree }: Services, { table, selected, place }: StarredTable) {
  const { properties: _properties, ...stored } = getTableColumns(table)
  const { folderId, name } = place

  return function * (
    ownerId: number, { columns, isAscending }: SortColumns, { folder, limit, after }: StarredPage<unknown>
  ): Rule<Row[]> {
    const isIn = folder === undefined ? undefined : eq(folderId, yield * tree.idOf(ownerId, folder))
    const isByName = columns[0] === name
    // Names are unique in their folder only.
    const sorted = isByName ? [folderId, name] : columns[1] === name ? [...columns, folderId] : columns
    const isBeyond = isAscending ? sql`>` : sql`<`
    const isAfter = after && sql`(${list(sorted)}) ${isBeyond} (${list(valuesAt(after, isByName))})`
    const order = sorted.map(column => isAscending ? asc(column) : desc(column))
    // The condition of the index as it is there.
    const isStarred = and(eq(place.ownerId, ownerId), sql`${place.isStarred}`, isIn)
    return yield * query(db => {
      const starred = db.select(stored).from(table).where(and(isStarred, isByName ? isAfter : undefined))
        .orderBy(...isByName ? order : [asc(folderId), asc(name)]).limit(isByName ? limit : MAX_SORTED)
        .as(getTableName(table))
      return db.select(selected).from(starred).where(isAfter).orderBy(...order).limit(limit)
    }, rows => rows as Row[])
  }
}

/** The values of a position in the order of the columns that a listing is sorted by. */
function valuesAt ({ key, id }: FilePosition, isByName: boolean): (string | number)[] {
  if (typeof key === 'number') return [key, id]
  return isByName ? [id, key] : [sortKeyOf(key), key, id]
}

function list (items: readonly (Column | string | number)[]): SQL {
  return sql.join(items.map(item => sql`${item}`), sql`, `)
}
