import { and, asc, count, eq, inArray, or, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { ChangeLog, Starring } from './change-log.ts'
import type { Engine } from './engine.ts'
import { folderColumns, isBelow } from './columns.ts'
import type { FolderCopy } from './folder-records.ts'
import { type Owner, type Owners, unitBeyond, usedBy } from './owners.ts'
import {
  ancestorsOf, boundsBelow, joinPath, MAX_FOLDER_BYTES, MAX_FOLDER_SEGMENTS, numberedName, segmentColumns, splitPath
} from './paths.ts'
import type { Amount, Quota } from './records.ts'
import {
  existing, first, isAny, matching, pipeline, placeholders, prepared, query, type QueryRule, type Rule
} from './rule.ts'
import type { RowOf } from './schema.ts'

export type FolderRow = Omit<RowOf<'folders'>, 'properties' | 'sortKey'>

/** The ids of folders that exist, by path. Gets those that are made. */
export type Known = Map<string, number>

/** SQLite changes the paths of so many folders in 5 ms. */
const MANY_FOLDERS = 2000

/** What an empty folder adds to the usage of its owner. */
export const ONE_FOLDER: Amount = { bytes: 0, files: 1 }

/** Where a file or folder with a path belongs. */
export interface TreeSlot {
  readonly known: Known
  /** The id of its innermost parent that exists; 0 for the root. */
  readonly folderId: number
  /** The path of that one, empty for the root. */
  readonly parent: string
  /** The paths of its parents that do not exist, the outermost first. */
  readonly missing: readonly string[]
  /** Why nothing can be added with this path; undefined if it can. */
  readonly obstacle: string | undefined
}

export type FolderTree = ReturnType<typeof createFolderTree>

/** Finds and makes folders in the current transaction. Callers that make some have locked the owner. */
export function createFolderTree (engine: Engine, owners: Owners, changeLog: ChangeLog) {
  const { tables, isAmong } = engine
  const { files, folders } = tables
  const columns = folderColumns(tables)
  const queries = prepared('folders', {
    byPath: db => db.select(columns).from(folders).where(matching(folders, 'ownerId', 'path')),
    byPaths: db => db.select(columns).from(folders)
      .where(and(matching(folders, 'ownerId'), isAmong(folders.path, 'paths'))).orderBy(asc(folders.path)),
    fileIn: db => db.select({ id: files.id }).from(files).where(matching(files, 'ownerId', 'folderId', 'name')),
    insert: db => db.insert(folders)
      .values(placeholders('ownerId', 'parentId', 'name', 'sortKey', 'path', 'createdAt')).returning({ id: folders.id })
  })

  const isWithin = (ownerId: number, path: string) => isBelow(folders, { ownerId, ...boundsBelow(path) })

  const find = (ownerId: number, path: string) => queries.byPath({ ownerId, path }, first)

  /** Whether a folder directly contains a file with this path. */
  const hasFile = (ownerId: number, folderId: number, path: string) =>
    queries.fileIn({ ownerId, folderId, name: splitPath(path).name }, isAny)

  /** Adds a folder, and charges it. Returns its id. */
  function * add (
    ownerId: number, { time, ...folder }: { parentId: number, path: string, time: number }
  ): Rule<number> {
    const row = { ownerId, ...segmentColumns(folder.path), ...folder }
    const [[added]] = yield * pipeline(
      queries.insert({ ...row, createdAt: time }),
      changeLog.folderMade(row, time),
      owners.charge(ownerId, { usedFolders: 1 })
    )
    return Number(added?.id)
  }

  function * isTaken (ownerId: number, folderId: number, path: string): Rule<boolean> {
    const [folder, isFile] = yield * pipeline(find(ownerId, path), hasFile(ownerId, folderId, path))
    return folder !== undefined || isFile
  }

  return {
    find,
    add,

    /** Gives a folder a star, or takes it. */
    star: (id: number, isStarred: boolean, starring: Starring) => pipeline(
      query(db => db.update(folders).set({ isStarred }).where(eq(folders.id, id))),
      changeLog.folderStarred(id, starring)
    ),

    /** A free path in a folder, and the one before it is taken: found in as many steps as the number has bits. */
    * freePath (ownerId: number, { id, path }: Pick<FolderRow, 'id' | 'path'>, name: string): Rule<string> {
      const numbered = (number: number) => joinPath(path, numberedName(name, number))
      let [taken, free] = [0, 1]
      while (yield * isTaken(ownerId, id, numbered(free))) [taken, free] = [free, free * 2]
      while (free - taken > 1) {
        const middle = Math.floor((taken + free) / 2)
        if (yield * isTaken(ownerId, id, numbered(middle))) taken = middle
        else free = middle
      }
      return numbered(free)
    },

    /** The id of a folder; 0 for the root. @throws not_found. */
    * idOf (ownerId: number, path: string): Rule<number> {
      if (path === '') return 0
      const folder = yield * find(ownerId, path)
      if (folder === undefined) throw new Problem('not_found')
      return folder.id
    },

    /**
     * Checks the paths of all folders below one if that got another path; reads them only if that is longer.
     * @throws name_invalid if one would be too long.
     */
    * requireShort (ownerId: number, path: string, newPath: string): Rule<void> {
      if (Buffer.byteLength(newPath) <= Buffer.byteLength(path) && slashesIn(newPath) <= slashesIn(path)) return
      const longest = yield * query(db => db.select({
        bytes: sql`coalesce(max(octet_length(${folders.path})), 0)`.mapWith(Number),
        slashes: sql`coalesce(max(length(${folders.path}) - length(replace(${folders.path}, '/', ''))), 0)`
          .mapWith(Number)
      }).from(folders).where(isWithin(ownerId, path)), existing)
      refuseTooLong(longest, path, newPath)
    },

    /** Whether a transaction that changes or reads all folders below one takes long. */
    hasManyBelow: (ownerId: number, path: string) => query(db => db.select({ id: folders.id }).from(folders)
      .where(isWithin(ownerId, path)).limit(1).offset(MANY_FOLDERS), isAny),

    /**
     * What a copy of a folder adds to the usage of its owner: with all that is in it, if it is deep. Sums that only if
     * it may exceed the quota: where all that the owner has would fit once more, it returns that.
     */
    * sizeOf (
      owner: Owner, path: string, { isDeep, quota }: Pick<FolderCopy, 'isDeep'> & { quota: Quota }
    ): Rule<Amount> {
      if (isDeep !== true) return ONE_FOLDER
      const all = { bytes: owner.usedBytes, files: owner.usedFiles + owner.usedFolders }
      if (unitBeyond(quota, usedBy(owner, yield * owners.reserved(owner.id)), all) === undefined) return all
      const copied = or(and(eq(folders.ownerId, owner.id), eq(folders.path, path)), isWithin(owner.id, path))
      const [ofFiles, ofFolders] = yield * pipeline(
        query(db => db.select({ files: count(), bytes: sql`coalesce(sum(${files.size}), 0)`.mapWith(Number) })
          .from(files).where(and(
            eq(files.ownerId, owner.id),
            inArray(files.folderId, db.select({ id: folders.id }).from(folders).where(copied))
          )), existing),
        query(db => db.select({ files: count() }).from(folders).where(copied), existing)
      )
      return { bytes: ofFiles.bytes, files: ofFiles.files + ofFolders.files }
    },

    /** The folders among paths and their parents. */
    known (ownerId: number, ...paths: string[]): QueryRule<Known> {
      const all = new Set(paths.flatMap(path => [...ancestorsOf(path), path]))
      return queries.byPaths({ ownerId, paths: Array.from(all) },
        folders => new Map(folders.map(({ path, id }) => [path, id])))
    },

    /** Where something belongs; `known`: what exists of its path. */
    * place (ownerId: number, path: string, known: Known): Rule<TreeSlot> {
      const ancestors = ancestorsOf(path)
      const missing = ancestors.filter(ancestor => !known.has(ancestor))
      const [first] = missing
      const parent = ancestors[ancestors.length - missing.length - 1] ?? ''
      const folderId = known.get(parent) ?? 0
      if (known.has(path)) return { known, folderId, parent, missing, obstacle: `A folder has the name ${path}.` }
      const isFile = first !== undefined && (yield * hasFile(ownerId, folderId, first))
      return { known, folderId, parent, missing, obstacle: isFile ? `${first} is a file, not a folder.` : undefined }
    },

    /** Makes the missing parents of a place. Returns the id of the innermost parent. */
    * makeParents (ownerId: number, { known, folderId, missing }: TreeSlot, time: number): Rule<number> {
      let parentId = folderId
      for (const path of missing) {
        parentId = yield * add(ownerId, { parentId, path, time })
        known.set(path, parentId)
      }
      return parentId
    }
  }
}

/** @throws name_taken if nothing can be added there. */
export function requireFree ({ obstacle }: TreeSlot): void {
  if (obstacle !== undefined) throw new Problem('name_taken', { detail: obstacle })
}

const slashesIn = (path: string) => path.split('/').length - 1

/** @throws name_invalid if a folder below would have a path that is too long. */
function refuseTooLong (longest: { bytes: number, slashes: number }, path: string, newPath: string): void {
  const bytes = longest.bytes - Buffer.byteLength(path) + Buffer.byteLength(newPath)
  const segments = longest.slashes - slashesIn(path) + slashesIn(newPath) + 1
  if (bytes <= MAX_FOLDER_BYTES && segments <= MAX_FOLDER_SEGMENTS) return
  const limits = `${MAX_FOLDER_BYTES} bytes or ${MAX_FOLDER_SEGMENTS} segments`
  throw new Problem('name_invalid', { detail: `The path of a folder below would have more than ${limits}.` })
}
