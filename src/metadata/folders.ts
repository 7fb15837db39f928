import { and, asc, eq, gt, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Destination, EntryChange } from './conditions.ts'
import { folderColumns, isBelow } from './columns.ts'
import type { FolderCopy } from './folder-records.ts'
import { createFolderRemovals } from './folder-removals.ts'
import { createFolderSearch } from './folder-search.ts'
import { type FolderRow, ONE_FOLDER, type TreeSlot } from './folder-tree.ts'
import { createFolderListing } from './listings.ts'
import { createStarredFolders } from './stars.ts'
import { targetsOfNew, targetsOfRemoval } from './lock-guard.ts'
import type { Owner } from './owners.ts'
import { pipeline, query, type Rule } from './rule.ts'
import { boundsBelow, segmentColumns } from './paths.ts'
import type { Amount, FolderRecord, Quota } from './records.ts'
import type { Services } from './services.ts'
import type { Tables } from './schema.ts'

/** A folder that is made or moved. */
interface FolderArrival {
  readonly path: string
  readonly quota: Quota
  readonly destination: Destination
  /** The folder that is moved or copied. */
  readonly source?: FolderRow
}

/**
 * Folders by owner and path. The root is not one of them. Ids are never reused. Missing parents are made as for files.
 * A folder counts as a file in the quota.
 */
export type FolderRepository = ReturnType<typeof createFolders>

export function createFolders (services: Services) {
  const { engine, longRunning, owners, tree, contents, guard, changeLog, members, read, write } = services
  const { tables, transactFor } = engine
  const { folders } = tables

  function * create (ownerId: number, arrival: FolderArrival, added = ONE_FOLDER): Rule<FolderRecord> {
    const { path } = arrival
    const { parentId, time } = yield * makeParents(ownerId, { ...arrival, added, removed: [] })
    const id = yield * tree.add(ownerId, { parentId, path, time })
    return { id, parentId, path, createdAt: time, isStarred: false }
  }

  /**
   * Makes the missing parents of a folder with which `added` comes, and ends the locks of the paths in `removed`.
   * Returns the id of the innermost parent, and the time.
   * @throws precondition_failed, file_locked, name_taken, quota_exceeded.
   */
  function * makeParents (
    ownerId: number,
    { path, quota, destination, source, added, removed }: FolderArrival & { added: Amount, removed: string[] }
  ) {
    const context = yield * contents.contextOf(ownerId, path, quota)
    const { current, place, time } = context
    const arrival = current === undefined ? targetsOfNew(path, place) : targetsOfRemoval(path)
    const subject = { current: undefined, folder: source }
    yield * guard.admit({ ...context, ...subject }, destination, arrival, ...removed.map(targetsOfRemoval))
    yield * contents.clear(context, destination)
    yield * guard.end(context, ...removed)
    const parentId = yield * contents.makeParents(added, context)
    return { parentId, time }
  }

  /** The folder and its owner, who is then locked. @throws not_found. */
  function * lock (ownerId: number, path: string): Rule<{ owner: Owner, folder: FolderRow }> {
    const [owner, folder] = yield * pipeline(owners.lock(ownerId), tree.find(ownerId, path))
    if (folder === undefined) throw new Problem('not_found')
    return { owner, folder }
  }

  return {
    ...createFolderRemovals(services),

    find: read((ownerId: number, path: string): Rule<FolderRecord | undefined> => tree.find(ownerId, path)),

    /** The folders directly in a folder, or in the root for an empty path. @throws not_found if it does not exist. */
    list: read(createFolderListing(services)),

    /** One page of the folders that have a star, as `files.listStarred`. @throws not_found. */
    listStarred: read(createStarredFolders(services)),

    /** One page of the folders whose last segment contains some texts, as `files.search` does. @throws not_found. */
    search: createFolderSearch(services),

    /** Those directly in any of some folders, by name. Folders that do not exist have none. */
    listIn: read(members.folders.listIn),

    /** All folders in the order of their ids, as they were created: at most `limit` with one above `after`. */
    listAll: read((ownerId: number, { after, limit }: { after: number, limit: number }): Rule<FolderRecord[]> =>
      query(db => db.select(folderColumns(tables)).from(folders)
        .where(and(eq(folders.ownerId, ownerId), gt(folders.id, after)))
        // By the owner too, so that PostgreSQL takes the index of both.
        .orderBy(asc(folders.ownerId), asc(folders.id)).limit(limit))),

    /**
     * Adds a folder, if it does not exist.
     * With `overwrites`, a file that has the name goes to the trash.
     * @throws name_taken if a file has the name of it or of a parent, precondition_failed, parent_missing, file_locked,
     * quota_exceeded.
     */
    add: write(function * (
      ownerId, path: string, quota: Quota, destination: Destination = {}
    ): Rule<{ folder: FolderRecord, isNew: boolean }> {
      const [, existing] = yield * pipeline(owners.lock(ownerId), tree.find(ownerId, path))
      if (existing !== undefined) {
        guard.requirePrecondition({ place: placeOf(existing) }, { folderId: destination.folderId })
        return { folder: existing, isNew: false }
      }
      return { folder: yield * create(ownerId, { path, quota, destination }), isNew: true }
    }),

    /**
     * Adds a folder with the dead properties of another one.
     * @throws as `add`; not_found, and name_taken also if the folder exists.
     */
    copy: (
      ownerId: number, path: string, newPath: string, quota: Quota, destination: FolderCopy = {}
    ) => transactFor(ownerId, function * () {
      const { owner, folder: source } = yield * lock(ownerId, path)
      const added = yield * tree.sizeOf(owner, path, { ...destination, quota })
      const copy = yield * create(ownerId, { path: newPath, quota, destination, source }, added)
      const properties = sql`(SELECT s.properties FROM folders s WHERE s.id = ${source.id})`
      yield * query(db => db.update(folders).set({ properties }).where(eq(folders.id, copy.id)))
      return copy
    }, destination.isDeep === true ? () => owners.ownsMany(ownerId) : undefined),

    /**
     * Moves a folder with all that is in it, or stars it. Files, versions and their times do not change. No lock
     * refuses a star alone.
     * @throws not_found, name_taken, folder_into_itself, name_invalid if the path of a folder below would get too long,
     * quota_exceeded, precondition_failed, parent_missing, file_locked. With `overwrites`, a file that has the new path
     * goes to the trash.
     */
    move: (
      ownerId: number, path: string, newPath: string, quota: Quota, destination: EntryChange = {}
    ) => transactFor(ownerId, function * (): Rule<FolderRecord> {
      const { folder: source } = yield * lock(ownerId, path)
      const { id } = source
      const { isStarred = source.isStarred } = destination
      if (newPath === path) {
        guard.requirePrecondition({ folder: source, place: placeOf(source) }, destination)
        if (isStarred !== source.isStarred) {
          yield * tree.star(id, isStarred, { ownerId, name: path, at: yield * engine.now() })
        }
        return { ...source, isStarred }
      }
      if (newPath.startsWith(`${path}/`)) throw new Problem('folder_into_itself')
      yield * tree.requireShort(ownerId, path, newPath)
      const added = { bytes: 0, files: 0 }
      const { parentId, time } = yield * makeParents(ownerId, {
        path: newPath, quota, destination, source, added, removed: [path]
      })
      yield * pipeline(
        query(db => db.update(folders).set({ parentId, ...segmentColumns(newPath), path: newPath, isStarred })
          .where(eq(folders.id, id))),
        query(db => db.update(folders).set({
          path: sql`cast(${newPath} AS text) || substr(${folders.path}, length(cast(${path} AS text)) + 1)`
        }).where(isBelow(folders, { ownerId, ...boundsBelow(path) }))),
        changeLog.folderMoved(id, { ownerId, name: newPath, fromName: path, at: time })
      )
      return { ...source, parentId, path: newPath, isStarred }
    }, newPath === path ? undefined : () => tree.hasManyBelow(ownerId, path)),

    /** Folders and files whose place is wrong, one line each. For fsck. */
    listFaults: () => longRunning.read(() => findFolderFaults(tables))
  }
}

/** Where an existing folder is. */
function placeOf ({ parentId }: FolderRow): Pick<TreeSlot, 'folderId' | 'missing'> {
  return { folderId: parentId, missing: [] }
}

/**
 * Folders and files whose place is wrong, or taken by both, one line each. A folder that is its own ancestor is among
 * them: in a cycle, some path is not its parent's path plus a name.
 */
function * findFolderFaults ({ files, folders }: Tables): Rule<string[]> {
  // Raw SQL: in a query of one table Drizzle omits the table's name.
  const parent = sql<string | null>`CASE WHEN ${eq(folders.parentId, 0)} THEN ''
    ELSE (SELECT p.path || '/' FROM folders p WHERE p.id = folders.parent_id AND p.owner_id = folders.owner_id) END`
  const [misplaced, orphans, twins] = yield * pipeline(
    query(db => db.select({ id: folders.id, ownerId: folders.ownerId, path: folders.path, parent }).from(folders)
      .where(sql`coalesce(${folders.path} <> ${parent} || ${folders.name}, true)`)),
    query(db => db.select({ id: files.id, ownerId: files.ownerId, name: files.name }).from(files)
      .where(sql`${files.folderId} <> 0 AND NOT EXISTS (
        SELECT 1 FROM folders o WHERE o.id = files.folder_id AND o.owner_id = files.owner_id)`)),
    query(db => db
      .select({ id: files.id, ownerId: files.ownerId, path: folders.path, folder: folders.id }).from(folders)
      .innerJoin(files, and(
        eq(files.ownerId, folders.ownerId), eq(files.folderId, folders.parentId), eq(files.name, folders.name))))
  )
  return [
    ...misplaced.map(({ id, ownerId, path, parent }) => {
      const folder = `folder ${id} of account ${ownerId} (${JSON.stringify(path)})`
      return parent === null ? `${folder} has no parent` : `${folder} does not have the path of its parent and its name`
    }),
    ...orphans.map(({ id, ownerId, name }) =>
      `file ${id} of account ${ownerId} (${JSON.stringify(name)}) is in a folder that does not exist`),
    ...twins.map(({ id, ownerId, path, folder }) =>
      `file ${id} of account ${ownerId} (${JSON.stringify(path)}) has the path of folder ${folder}`)
  ]
}
