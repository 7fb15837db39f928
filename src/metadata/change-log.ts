import { and, asc, desc, eq, gte, lt, or, type SQL, sql } from 'drizzle-orm'
import type { ChangeKind } from './change-records.ts'
import type { Engine } from './engine.ts'
import { wholeName } from './columns.ts'
import type { FileRecord } from './records.ts'
import { boundsBelow } from './paths.ts'
import { anyOf, bigint, isAny, placeholder, placeholders, prepared } from './rule.ts'

export interface Starring { readonly ownerId: number, readonly name: string, readonly at: number }
interface Move extends Starring { readonly fromName: string }

/** Records changes in the current transaction, which has locked the owner. PostgreSQL needs no further round trip. */
export type ChangeLog = ReturnType<typeof createChangeLog>

export function createChangeLog (engine: Engine) {
  const queries = queriesOf(engine)
  return {
    /** A file has got the bytes of a blob, perhaps by a link: send it after the query that stores the blob's id. */
    stored: (
      { ownerId, name, blobId }: Pick<FileRecord, 'ownerId' | 'name' | 'blobId'>, at: number, linkId?: number
    ) => queries.stored({ ownerId, name, blobId, at, linkId: linkId ?? null }),

    moved: (fileId: number, move: Move) => queries.add({ ...move, kind: 'moved', fileId, folderId: null }),

    /** A file has got or lost its star. */
    starred: (fileId: number, starring: Starring) =>
      queries.add({ ...starring, fromName: null, kind: 'starred', fileId, folderId: null }),

    /** Files are about to be deleted. */
    deleted: (ids: readonly number[], at: number) => queries.deleted({ ids, at }),

    /** A folder was made: send it after the query that adds the row. */
    folderMade: (folder: { ownerId: number, parentId: number, name: string, path: string }, at: number) =>
      queries.folderMade({ ...folder, at }),

    folderMoved: (folderId: number, move: Move) =>
      queries.add({ ...move, kind: 'folder_moved', fileId: null, folderId }),

    folderStarred: (folderId: number, starring: Starring) =>
      queries.add({ ...starring, fromName: null, kind: 'folder_starred', fileId: null, folderId }),

    /** Folders are about to be deleted. */
    foldersDeleted: (ids: readonly number[], at: number) => queries.foldersDeleted({ ids, at }),

    /** Whether a folder or what is in it has changed since a change. Reads all changes of the account since then. */
    isChanged: (ownerId: number, path: string, since: number) =>
      queries.anyIn({ ownerId, since, path, ...boundsBelow(path) }, isAny)
  }
}

function queriesOf ({ tables, newChangeId, isAmong, idsBetween }: Engine) {
  const { changes, files, folders } = tables
  const row = sql<null>`cast(NULL AS bigint)`
  const inserted = (
    { ownerId }: typeof files | typeof folders,
    kind: ChangeKind,
    { name, fileId = row, folderId = row }: { name: SQL<string>, fileId?: SQL, folderId?: SQL }
  ) => ({
    id: newChangeId.as('id'),
    ownerId,
    kind: sql<ChangeKind>`${sql.raw(`'${kind}'`)}`.as('kind'),
    name: name.as('name'),
    fromName: sql<null>`cast(NULL AS text)`.as('from_name'),
    fileId: fileId.as('file_id'),
    folderId: folderId.as('folder_id'),
    at: bigint('at').as('at'),
    linkId: row.as('link_id')
  })
  return prepared('change_log', {
    add: db => db.insert(changes)
      .values(placeholders('ownerId', 'kind', 'name', 'fromName', 'fileId', 'folderId', 'at')),
    stored: db => db.insert(changes).values({
      ...placeholders('ownerId', 'name', 'at', 'linkId'),
      kind: 'stored',
      fileId: sql`(SELECT f.id FROM files f WHERE f.blob_id = ${placeholder('blobId')})`
    }),
    folderMade: db => db.insert(changes).values({
      ...placeholders('ownerId', 'at'),
      kind: 'folder_made',
      name: placeholder('path'),
      folderId: sql`(SELECT f.id FROM folders f WHERE f.owner_id = ${placeholder('ownerId')}
        AND f.parent_id = ${placeholder('parentId')} AND f.name = ${placeholder('name')})`
    }),
    anyIn: anyOf(changes, and(
      idsBetween(sql`changes`, { owner: bigint('ownerId'), after: bigint('since') }),
      or(...[changes.name, changes.fromName].flatMap(name => [
        eq(name, placeholder('path')),
        and(gte(name, placeholder('from')), lt(name, placeholder('to')))
      ]))
    )),
    deleted: db => db.insert(changes).select(
      db.select(inserted(files, 'deleted', { name: wholeName(files), fileId: sql`${files.id}` })).from(files)
        .where(isAmong(files.id, 'ids')).orderBy(asc(files.id))
    ),
    // What is in a folder goes before it.
    foldersDeleted: db => db.insert(changes).select(
      db.select(inserted(folders, 'folder_deleted', { name: sql`${folders.path}`, folderId: sql`${folders.id}` }))
        .from(folders).where(isAmong(folders.id, 'ids')).orderBy(desc(folders.path))
    )
  })
}
