import { and, eq, getTableColumns, type Placeholder, type SQL, sql, gte, lt } from 'drizzle-orm'
import type { Tables } from './schema.ts'

/** The columns of an `AccountRecord`: all but `removedAt` and `keptContents`. */
export function accountColumns ({ accounts }: Tables) {
  const { removedAt: _removedAt, keptContents: _keptContents, ...columns } = getTableColumns(accounts)
  return columns
}

/** The columns of a `FileRecord`: its name is the whole path. */
export function fileColumns ({ files }: Tables) {
  const { properties: _properties, sortKey: _sortKey, kind: _kind, ...columns } = getTableColumns(files)
  return { ...columns, name: wholeName(files) }
}

/** The columns of a folder but its dead properties and its sort key. */
export function folderColumns ({ folders }: Tables) {
  const { properties: _properties, sortKey: _sortKey, ...columns } = getTableColumns(folders)
  return columns
}

/** The columns of kept content but the dead properties of a deleted file. */
export function retainedColumns ({ kept }: Tables) {
  const { properties: _properties, ...columns } = getTableColumns(kept)
  return columns
}

/** The path of a file. Raw SQL: in a query of one table Drizzle omits the table's name. */
export function wholeName (files: Tables['files']): SQL<string> {
  return sql<string>`coalesce(
    (SELECT fo.path || '/' FROM folders fo WHERE fo.id = ${files.folderId}), '') || ${files.name}`
}

interface FilePath<Value, Text> {
  readonly ownerId: Value
  /** The path of the folder; empty for the root. */
  readonly folder: Text
  /** The last segment. */
  readonly name: Text
}

/** Condition for the file with a path. */
export function hasPath (
  tables: Tables, { ownerId, folder, name }: FilePath<number | Placeholder, string | Placeholder>
): SQL | undefined {
  const { files } = tables
  return and(eq(files.ownerId, ownerId), isInFolder(tables, { ownerId, folder }), eq(files.name, name))
}

/** Condition for the files directly in a folder. False if it does not exist. */
export function isInFolder (
  { files }: Tables, { ownerId, folder }: Omit<FilePath<number | Placeholder, string | Placeholder>, 'name'>
): SQL {
  return sql`${files.folderId} = CASE WHEN cast(${folder} AS text) = '' THEN 0
    ELSE (SELECT fo.id FROM folders fo WHERE fo.owner_id = ${ownerId} AND fo.path = ${folder}) END`
}

/** Condition for the rows of an owner with a path below another one, whose {@link boundsBelow} it has. */
export function isBelow (
  table: Tables['folders'] | Tables['locks'],
  { ownerId, from, to }: Record<'ownerId', number | Placeholder> & Record<'from' | 'to', string | Placeholder>
): SQL | undefined {
  return and(eq(table.ownerId, ownerId), gte(table.path, from), lt(table.path, to))
}
