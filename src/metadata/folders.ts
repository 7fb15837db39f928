import { and, asc, desc, eq, gt, gte, lt, lte, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { fileColumns } from './file-columns.ts'
import type { FileContents } from './file-contents.ts'
import { findFolderFaults } from './folder-faults.ts'
import { fileTaken, type FolderRow, type FolderTree } from './folder-tree.ts'
import type { FolderRemoval, FolderRemovalPosition, FolderRepository } from './folder-repository.ts'
import type { Owner, Owners } from './owners.ts'
import { limitedTo } from './paging.ts'
import { MAX_FOLDER_BYTES, MAX_FOLDER_SEGMENTS, splitPath } from './paths.ts'
import type { FolderRecord, Quota } from './records.ts'
import { type Ask, ask, reading, together, writing, type Rule } from './rule.ts'

const { placeholder } = sql

interface FolderOptions {
  readonly engine: Engine
  /** For what reads whole tables. */
  readonly longRunning: Pick<Engine, 'read'>
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
}

interface Added { readonly folder: FolderRecord, readonly isNew: boolean }

interface Move { readonly path: string, readonly newPath: string, readonly quota: Quota }

export class FolderRules implements FolderRepository {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #longRunning: FolderOptions['longRunning']
  readonly #owners: Owners
  readonly #tree: FolderTree
  readonly #contents: FileContents

  constructor ({ engine, longRunning, owners, tree, contents }: FolderOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#longRunning = longRunning
    this.#owners = owners
    this.#tree = tree
    this.#contents = contents
  }

  find (ownerId: number, path: string): Promise<FolderRecord | undefined> {
    return this.#engine.read(() => this.#tree.find(ownerId, path))
  }

  list (
    ownerId: number, path: string, page: { after: string | undefined, limit: number }
  ): Promise<FolderRecord[]> {
    return this.#engine.read(() => this.#list(ownerId, path, page))
  }

  * #list (
    ownerId: number, path: string, { after, limit }: { after: string | undefined, limit: number }
  ): Rule<FolderRecord[]> {
    const { folders } = this.#engine.tables
    const parentId = yield * this.#tree.idOf(ownerId, path)
    return yield * ask(reading('', db => db.select().from(folders).where(and(
      eq(folders.ownerId, ownerId),
      eq(folders.parentId, parentId),
      after === undefined ? undefined : gt(folders.name, after)
    )).orderBy(asc(folders.name)).limit(limit)))
  }

  add (ownerId: number, path: string, quota: Quota): Promise<Added> {
    return this.#engine.transactFor(ownerId, () => this.#add(ownerId, path, quota))
  }

  * #add (ownerId: number, path: string, quota: Quota): Rule<Added> {
    const [, existing] = yield * together(this.#owners.lock(ownerId), this.#tree.find(ownerId, path))
    if (existing !== undefined) return { folder: existing, isNew: false }
    const { parentId, time } = yield * this.#makeParents(ownerId, { path, quota, added: 1 })
    const id = yield * this.#tree.add(ownerId, { parentId, path, time })
    return { folder: { id, path, createdAt: time }, isNew: true }
  }

  /**
   * Makes the missing parents of a folder that adds `added` folders. Returns the id of the innermost, and the time.
   * @throws name_taken, quota_exceeded.
   */
  * #makeParents (ownerId: number, { path, quota, added }: { path: string, quota: Quota, added: number }) {
    const beginning = yield * this.#contents.begin(ownerId, path, quota)
    if (beginning.current !== undefined) throw fileTaken(path)
    const { folderId: parentId } = yield * this.#contents.makeParents({ bytes: 0, files: added }, beginning)
    return { parentId, time: beginning.time }
  }

  move (ownerId: number, path: string, newPath: string, quota: Quota): Promise<FolderRecord> {
    return this.#engine.transactFor(ownerId, () => this.#move(ownerId, { path, newPath, quota }))
  }

  * #move (ownerId: number, { path, newPath, quota }: Move): Rule<FolderRecord> {
    const folder = yield * this.#lock(ownerId, path)
    if (newPath === path) return folder
    if (newPath.startsWith(`${path}/`)) throw new Problem('folder_into_itself')
    const [longest] = yield * ask(this.#queries.longestBelow, { ownerId, ...boundsBelow(path) })
    refuseTooLong({ bytes: Number(longest?.bytes), slashes: Number(longest?.slashes) }, path, newPath)
    const { parentId } = yield * this.#makeParents(ownerId, { path: newPath, quota, added: 0 })
    const { name } = splitPath(newPath)
    yield * together(
      ask(this.#queries.move, { id: folder.id, parentId, name, path: newPath }),
      ask(this.#queries.moveBelow, { ownerId, path, newPath, ...boundsBelow(path) })
    )
    return { ...folder, path: newPath }
  }

  /** The folder, whose owner is then locked. @throws not_found. */
  * #lock (ownerId: number, path: string): Rule<FolderRow> {
    const [, folder] = yield * together(this.#owners.lock(ownerId), this.#tree.find(ownerId, path))
    if (folder === undefined) throw new Problem('not_found')
    return folder
  }

  remove (ownerId: number, path: string): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#remove(ownerId, path))
  }

  * #remove (ownerId: number, path: string): Rule<void> {
    const { id } = yield * this.#lock(ownerId, path)
    const [files, folders] = yield * together(
      ask(this.#queries.anyFile, { ownerId, ids: [id] }), ask(this.#queries.anyFolder, { ownerId, id })
    )
    if (files.length + folders.length > 0) throw new Problem('folder_not_empty')
    yield * this.#drop(ownerId, [id])
  }

  * #drop (ownerId: number, ids: readonly number[]): Rule<void> {
    yield * together(ask(this.#queries.drop, { ids }), this.#owners.charge(ownerId, { folders: -ids.length }))
  }

  removeSome (ownerId: number, path: string, removal: FolderRemoval): Promise<FolderRemovalPosition | undefined> {
    return this.#engine.transactFor(ownerId, () => this.#removeSome(ownerId, path, removal))
  }

  * #removeSome (
    ownerId: number, path: string, { from, ...removal }: FolderRemoval
  ): Rule<FolderRemovalPosition | undefined> {
    const [owner, folder, time] = yield * together(
      this.#owners.lock(ownerId), this.#tree.find(ownerId, path), this.#engine.now()
    )
    if (folder === undefined || folder.id !== (from?.folderId ?? folder.id)) throw new Problem('not_found')
    const position = from ?? { folderId: folder.id, lastId: yield * this.#newestFile(), path }
    return position.path === undefined
      ? yield * this.#removeEmpty(folder, position, removal.limit)
      : yield * this.#removeFiles({ owner, time }, folder, { ...removal, from: { ...position, path: position.path } })
  }

  // A file that is added later has a higher id: its owner is locked while it is added.
  #newestFile (): Ask<number> {
    return ask(this.#queries.newestFile, {}, ([newest]) => newest?.id ?? 0)
  }

  * #removeFiles (
    { owner, time }: { owner: Owner, time: number },
    { id, ownerId, path }: FolderRow,
    { from, limit, isPermanent, deletedWith }: FolderRemoval & { from: FolderRemovalPosition & { path: string } }
  ): Rule<FolderRemovalPosition> {
    const below = yield * ask(this.#queries.foldersBelow, { ownerId, ...boundsBelow(path), after: from.path, limit })
    const ids = [id, ...below.map(folder => folder.id)]
    const removed = yield * ask(this.#queries.filesIn, { ownerId, ids, lastId: from.lastId, limit })
    if (removed.length > 0) yield * this.#contents.removeAll({ owner, time }, removed, { isPermanent, deletedWith })
    return removed.length === limit ? from : { ...from, path: below.at(-1)?.path }
  }

  * #removeEmpty (
    folder: FolderRow, position: FolderRemovalPosition, limit: number
  ): Rule<FolderRemovalPosition | undefined> {
    const { ownerId, path } = folder
    const below = yield * ask(this.#queries.deepest, { ownerId, ...boundsBelow(path), limit })
    const isLast = below.length < limit
    const ids = (isLast ? [...below, folder] : below).map(({ id }) => id)
    if ((yield * ask(this.#queries.anyFile, { ownerId, ids })).length > 0) throw new Problem('folder_not_empty')
    yield * this.#drop(ownerId, ids)
    return isLast ? undefined : position
  }

  listFaults (): Promise<string[]> {
    return this.#longRunning.read(() => findFolderFaults(this.#engine.tables))
  }
}

/** The bounds of the paths below a folder: `0` comes after `/`. */
function boundsBelow (path: string): { from: string, to: string } {
  return { from: `${path}/`, to: `${path}0` }
}

/** @throws name_invalid if a folder below would have a path that is too long. */
function refuseTooLong (longest: { bytes: number, slashes: number }, path: string, newPath: string): void {
  const slashesOf = (text: string) => text.split('/').length - 1
  const bytes = longest.bytes - Buffer.byteLength(path) + Buffer.byteLength(newPath)
  const segments = longest.slashes - slashesOf(path) + slashesOf(newPath) + 1
  if (bytes <= MAX_FOLDER_BYTES && segments <= MAX_FOLDER_SEGMENTS) return
  const limits = `${MAX_FOLDER_BYTES} bytes or ${MAX_FOLDER_SEGMENTS} segments`
  throw new Problem('name_invalid', { detail: `The path of a folder below would have more than ${limits}.` })
}

function queriesOf ({ tables, isAmong }: Engine) {
  const { files, folders } = tables
  const isOwn = eq(folders.ownerId, placeholder('ownerId'))
  const isBelow = and(isOwn, gte(folders.path, placeholder('from')), lt(folders.path, placeholder('to')))
  return {
    longestBelow: reading('longest_path', db => db.select({
      bytes: sql`coalesce(max(octet_length(${folders.path})), 0)`,
      slashes: sql`coalesce(max(length(${folders.path}) - length(replace(${folders.path}, '/', ''))), 0)`
    }).from(folders).where(isBelow)),
    move: writing('move_folder', db => db.update(folders).set({
      parentId: sql`${placeholder('parentId')}`, name: sql`${placeholder('name')}`, path: sql`${placeholder('path')}`
    }).where(eq(folders.id, placeholder('id')))),
    moveBelow: writing('move_folders', db => db.update(folders).set({
      path: sql`cast(${placeholder('newPath')} AS text) || substr(${folders.path}, length(cast(${placeholder('path')} AS text)) + 1)`
    }).where(isBelow)),
    anyFile: reading('file_in_folders', db => db.select({ id: files.id }).from(files)
      .where(and(eq(files.ownerId, placeholder('ownerId')), isAmong(files.folderId, 'ids'))).limit(1)),
    anyFolder: reading('folder_in_folder', db => db.select({ id: folders.id }).from(folders)
      .where(and(isOwn, eq(folders.parentId, placeholder('id')))).limit(1)),
    drop: writing('remove_folders', db => db.delete(folders).where(isAmong(folders.id, 'ids'))),
    newestFile: reading('newest_file', db => db.select({ id: files.id }).from(files).orderBy(desc(files.id)).limit(1)),
    foldersBelow: reading('folders_below', db => db.select({ id: folders.id, path: folders.path }).from(folders)
      .where(and(isBelow, gt(folders.path, placeholder('after'))))
      .orderBy(limitedTo(asc(folders.path), placeholder('limit')))),
    // In any order: the owner's id is the same in all.
    filesIn: reading('files_in_folders', db => db.select(fileColumns(tables)).from(files)
      .where(and(
        eq(files.ownerId, placeholder('ownerId')), isAmong(files.folderId, 'ids'), lte(files.id, placeholder('lastId'))
      )).orderBy(limitedTo(asc(files.ownerId), placeholder('limit')))),
    deepest: reading('deepest_folders', db => db.select({ id: folders.id }).from(folders).where(isBelow)
      .orderBy(limitedTo(desc(folders.path), placeholder('limit'))))
  }
}
