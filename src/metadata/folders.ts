import { and, asc, eq, gt, gte, lt, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { ChangeLog } from './changes.ts'
import type { Conditions, Destination } from './conditions.ts'
import type { Engine } from './engine.ts'
import { folderColumns } from './file-columns.ts'
import type { FileContents } from './file-contents.ts'
import { findFolderFaults } from './folder-faults.ts'
import { folderMembers } from './folder-members.ts'
import { FolderRemovals } from './folder-removals.ts'
import { type FolderRow, type FolderTree, ONE_FOLDER, type Place } from './folder-tree.ts'
import type { FolderCopy, FolderRemoval, FolderRemovalPosition, FolderRepository } from './folder-repository.ts'
import { adds, all, type LockGuard, removes } from './lock-guard.ts'
import type { Owner, Owners } from './owners.ts'
import { limitedTo } from './paging.ts'
import { boundsBelow, splitPath } from './paths.ts'
import type { Amount, FolderRecord, MemberPage, Quota } from './records.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'

const { placeholder } = sql

interface FolderOptions {
  readonly engine: Engine
  /** For what reads whole tables. */
  readonly longRunning: Pick<Engine, 'read'>
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly guard: LockGuard
  readonly changeLog: ChangeLog
}

interface Added { readonly folder: FolderRecord, readonly isNew: boolean }

/** A folder that is made or moved. */
interface Arrival {
  readonly path: string
  readonly quota: Quota
  readonly destination: Destination
  /** The folder that is moved or copied. */
  readonly source?: FolderRow
}

export class FolderRules implements FolderRepository {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #longRunning: FolderOptions['longRunning']
  readonly #owners: Owners
  readonly #tree: FolderTree
  readonly #contents: FileContents
  readonly #guard: LockGuard
  readonly #changeLog: ChangeLog
  readonly #members: ReturnType<typeof folderMembers>
  readonly #removals: FolderRemovals

  constructor ({ engine, longRunning, owners, tree, contents, guard, changeLog }: FolderOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#longRunning = longRunning
    this.#owners = owners
    this.#tree = tree
    this.#contents = contents
    this.#guard = guard
    this.#changeLog = changeLog
    this.#members = folderMembers(engine)
    this.#removals = new FolderRemovals({ engine, owners, tree, contents, guard, changeLog })
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
    return yield * ask(reading('', db => db.select(folderColumns(this.#engine.tables)).from(folders).where(and(
      eq(folders.ownerId, ownerId),
      eq(folders.parentId, parentId),
      after === undefined ? undefined : gt(folders.name, after)
    )).orderBy(asc(folders.name)).limit(limit)))
  }

  listIn (ownerId: number, page: MemberPage<FolderRecord>): Promise<FolderRecord[]> {
    return this.#engine.read(() => this.#members(ownerId, page))
  }

  listAll (ownerId: number, page: { after: number, limit: number }): Promise<FolderRecord[]> {
    return this.#engine.read(() => ask(this.#queries.all, { ownerId, ...page }))
  }

  add (ownerId: number, path: string, quota: Quota, destination: Destination = {}): Promise<Added> {
    return this.#engine.transactFor(ownerId, () => this.#add(ownerId, { path, quota, destination }))
  }

  * #add (ownerId: number, arrival: Arrival): Rule<Added> {
    const [, existing] = yield * together(this.#owners.lock(ownerId), this.#tree.find(ownerId, arrival.path))
    if (existing !== undefined) {
      this.#guard.judge({ place: placeOf(existing) }, { folderId: arrival.destination.folderId })
      return { folder: existing, isNew: false }
    }
    return { folder: yield * this.#create(ownerId, arrival), isNew: true }
  }

  * #create (ownerId: number, arrival: Arrival, added = ONE_FOLDER): Rule<FolderRecord> {
    const { path } = arrival
    const { parentId, time } = yield * this.#makeParents(ownerId, { ...arrival, added, removed: [] })
    const id = yield * this.#tree.add(ownerId, { parentId, path, time })
    return { id, parentId, path, createdAt: time }
  }

  /**
   * Makes the missing parents of a folder with which `added` comes, and takes those away whose locks must not refuse
   * it. Returns the id of the innermost, and the time.
   * @throws precondition_failed, file_locked, name_taken, quota_exceeded.
   */
  * #makeParents (
    ownerId: number,
    { path, quota, destination, source, added, removed }: Arrival & { added: Amount, removed: string[] }
  ) {
    const beginning = yield * this.#contents.begin(ownerId, path, quota)
    const { current, place, time } = beginning
    const lands = current === undefined ? adds(path, place) : removes(path)
    const start = { ...beginning, current: undefined, folder: source }
    yield * this.#guard.admit(start, destination, all(lands, ...removed.map(removes)))
    yield * this.#contents.clear(beginning, destination)
    yield * this.#guard.end(beginning, ...removed)
    const { folderId: parentId } = yield * this.#contents.makeParents(added, beginning)
    return { parentId, time }
  }

  copy (
    ownerId: number, path: string, newPath: string, quota: Quota, destination: FolderCopy = {}
  ): Promise<FolderRecord> {
    return this.#engine.transactFor(ownerId,
      () => this.#copy(ownerId, path, { path: newPath, quota, destination }),
      destination.isDeep === true ? () => this.#owners.ownsMany(ownerId) : undefined)
  }

  * #copy (
    ownerId: number, path: string, arrival: Arrival & { destination: FolderCopy }
  ): Rule<FolderRecord> {
    const { owner, folder: source } = yield * this.#lock(ownerId, path)
    const { quota, destination: { isDeep } } = arrival
    const added = yield * this.#tree.sizeOf(owner, path, { isDeep, quota })
    const copy = yield * this.#create(ownerId, { ...arrival, source }, added)
    yield * ask(this.#queries.copyProperties, { id: copy.id, from: source.id })
    return copy
  }

  move (
    ownerId: number, path: string, newPath: string, quota: Quota, destination: Destination = {}
  ): Promise<FolderRecord> {
    return this.#engine.transactFor(ownerId,
      () => this.#move(ownerId, path, { path: newPath, quota, destination }),
      () => this.#tree.hasManyBelow(ownerId, path))
  }

  * #move (ownerId: number, path: string, arrival: Arrival): Rule<FolderRecord> {
    const newPath = arrival.path
    const { folder } = yield * this.#lock(ownerId, path)
    if (newPath === path) {
      this.#guard.judge({ folder, place: placeOf(folder) }, arrival.destination)
      return folder
    }
    if (newPath.startsWith(`${path}/`)) throw new Problem('folder_into_itself')
    yield * this.#tree.requireShort(ownerId, path, newPath)
    const leaving = { ...arrival, source: folder, added: { bytes: 0, files: 0 }, removed: [path] }
    const { parentId, time } = yield * this.#makeParents(ownerId, leaving)
    const { name } = splitPath(newPath)
    yield * together(
      ask(this.#queries.move, { id: folder.id, parentId, name, path: newPath }),
      ask(this.#queries.moveBelow, { ownerId, path, newPath, ...boundsBelow(path) }),
      this.#changeLog.folderMoved(folder.id, { ownerId, name: newPath, fromName: path, at: time })
    )
    return { ...folder, parentId, path: newPath }
  }

  /** The folder and its owner, who is then locked. @throws not_found. */
  * #lock (ownerId: number, path: string): Rule<{ owner: Owner, folder: FolderRow }> {
    const [owner, folder] = yield * together(this.#owners.lock(ownerId), this.#tree.find(ownerId, path))
    if (folder === undefined) throw new Problem('not_found')
    return { owner, folder }
  }

  remove (ownerId: number, path: string, conditions: Conditions = {}): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#removals.remove(ownerId, path, conditions))
  }

  removeSome (ownerId: number, path: string, removal: FolderRemoval): Promise<FolderRemovalPosition | undefined> {
    return this.#engine.transactFor(ownerId,
      () => this.#removals.removeSome(ownerId, path, removal),
      removal.from === undefined && removal.replacedBy !== undefined ? () => this.#owners.ownsMany(ownerId) : undefined)
  }

  listFaults (): Promise<string[]> {
    return this.#longRunning.read(() => findFolderFaults(this.#engine.tables))
  }
}

/** Where an existing folder is. */
function placeOf ({ parentId }: FolderRow): Pick<Place, 'folderId' | 'missing'> {
  return { folderId: parentId, missing: [] }
}

function queriesOf ({ tables }: Engine) {
  const { folders } = tables
  const isOwn = eq(folders.ownerId, placeholder('ownerId'))
  const isBelow = and(isOwn, gte(folders.path, placeholder('from')), lt(folders.path, placeholder('to')))
  return {
    // Ordered by the owner too, so that PostgreSQL takes the index of both.
    all: reading('all_folders', db => db.select(folderColumns(tables)).from(folders)
      .where(and(isOwn, gt(folders.id, placeholder('after'))))
      .orderBy(limitedTo(sql`${asc(folders.ownerId)}, ${asc(folders.id)}`, placeholder('limit')))),
    move: writing('move_folder', db => db.update(folders).set({
      parentId: sql`${placeholder('parentId')}`, name: sql`${placeholder('name')}`, path: sql`${placeholder('path')}`
    }).where(eq(folders.id, placeholder('id')))),
    moveBelow: writing('move_folders', db => db.update(folders).set({
      path: sql`cast(${placeholder('newPath')} AS text) || substr(${folders.path}, length(cast(${placeholder('path')} AS text)) + 1)`
    }).where(isBelow)),
    copyProperties: writing('copy_folder_properties', db => db.update(folders).set({
      properties: sql`(SELECT s.properties FROM folders s WHERE s.id = ${placeholder('from')})`
    }).where(eq(folders.id, placeholder('id'))))
  }
}
