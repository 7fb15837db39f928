import { and, asc, between, eq, gt, sql } from 'drizzle-orm'
import { fileTaken, Problem } from '../problems.ts'
import type { ChangeLog } from './changes.ts'
import type { Conditions, Destination } from './conditions.ts'
import type { Engine } from './engine.ts'
import { fileColumns, hasPath, isInFolder } from './file-columns.ts'
import { type Beginning, updateTimeOf, type FileContents } from './file-contents.ts'
import { FileListing } from './file-listing.ts'
import type { FileRepository } from './file-repository.ts'
import { FileSearcher } from './file-search.ts'
import { fileMembers } from './folder-members.ts'
import { type FolderTree, requireFree } from './folder-tree.ts'
import type { KeptContents } from './kept-contents.ts'
import { all, type LockGuard, removes, stores } from './lock-guard.ts'
import type { NewLock } from './lock-records.ts'
import type { Owners } from './owners.ts'
import { limitedTo } from './paging.ts'
import { splitPath } from './paths.ts'
import type { FilePage, FileRecord, FileSearch, FoundFiles, MemberPage, NewFile, Quota } from './records.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'
import type { StoreResult } from './upload-records.ts'

const { placeholder } = sql

interface FileOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly keptContents: KeptContents
  readonly guard: LockGuard
  readonly changeLog: ChangeLog
}

interface Move { readonly newName: string, readonly quota: Quota, readonly destination: Destination }

type Announced = Parameters<FileRepository['findPlace']>[2]

/** Stores a file, unless it stays as it is. @throws if neither may be. */
type Store<T> = (beginning: Beginning) => Rule<T>

/** A file whose bytes were copied to a new blob. */
interface Source { readonly name: string, readonly blobId: string }

export class FileRules implements FileRepository {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #owners: Owners
  readonly #tree: FolderTree
  readonly #contents: FileContents
  readonly #keptContents: KeptContents
  readonly #guard: LockGuard
  readonly #changeLog: ChangeLog
  readonly #listing: FileListing
  readonly #members: ReturnType<typeof fileMembers>
  readonly #searcher: FileSearcher

  constructor ({ engine, owners, tree, contents, keptContents, guard, changeLog }: FileOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#owners = owners
    this.#tree = tree
    this.#contents = contents
    this.#keptContents = keptContents
    this.#guard = guard
    this.#changeLog = changeLog
    this.#listing = new FileListing(engine, tree)
    this.#members = fileMembers(engine)
    this.#searcher = new FileSearcher(engine, tree)
  }

  add (file: NewFile, quota: Quota): Promise<StoreResult> {
    return this.#store(file, quota, beginning => this.#add(file, beginning))
  }

  * #add (file: NewFile, beginning: Beginning): Rule<StoreResult> {
    const { current } = beginning
    if (current === undefined) {
      yield * this.#guard.admit(beginning, {}, stores(file.name, beginning))
      return yield * this.#contents.store(file, beginning)
    }
    if (current.sha256 !== file.sha256 || current.size !== file.size) throw fileTaken(file.name)
    return { file: current, isNew: false }
  }

  put (file: NewFile, quota: Quota, conditions: Conditions, lock?: NewLock): Promise<StoreResult> {
    return this.#store(file, quota, beginning => this.#put(file, beginning, { conditions, lock }))
  }

  * #put (
    file: NewFile, beginning: Beginning, { conditions, lock }: { conditions: Conditions, lock: NewLock | undefined }
  ): Rule<StoreResult> {
    if (lock !== undefined && beginning.current !== undefined) throw fileTaken(file.name)
    yield * this.#guard.admit(beginning, conditions, stores(file.name, beginning))
    const stored = yield * this.#contents.store(file, beginning)
    if (lock !== undefined) yield * this.#guard.add(beginning, lock)
    return stored
  }

  copy (source: Source, file: NewFile, quota: Quota, destination: Destination): Promise<StoreResult | undefined> {
    return this.#store(file, quota, beginning => this.#copy(source, file, { ...destination, beginning }))
  }

  * #copy (
    { name, blobId }: Source, file: NewFile, { beginning, ...destination }: Destination & { beginning: Beginning }
  ): Rule<StoreResult | undefined> {
    const source = yield * this.#contents.find(file.ownerId, name)
    if (source === undefined) throw new Problem('not_found')
    if (source.blobId !== blobId) return undefined
    yield * this.#guard.admit({ ...beginning, current: source }, destination, stores(file.name, beginning))
    if (beginning.current !== undefined && destination.overwrites !== true) throw fileTaken(file.name)
    yield * this.#guard.end(beginning, file.name)
    const stored = yield * this.#contents.store(file, beginning)
    yield * this.#contents.copyProperties(stored.file.id, source.id)
    return stored
  }

  #store<T> (file: NewFile, quota: Quota, store: Store<T>): Promise<StoreResult | T> {
    const { ownerId, name } = file
    const contents = this.#contents
    return this.#keptContents.transactWithRoom(ownerId, function * () {
      return yield * store(yield * contents.begin(ownerId, name, quota))
    })
  }

  find (ownerId: number, name: string): Promise<FileRecord | undefined> {
    return this.#engine.readCached(`${ownerId}/${name}`, () => this.#contents.find(ownerId, name))
  }

  findPlace (ownerId: number, name: string, announced?: Announced): Promise<FileRecord | { newFolders: number }> {
    return this.#engine.read(() => this.#findPlace(ownerId, name, announced))
  }

  * #findPlace (
    ownerId: number, name: string, announced: Announced | undefined
  ): Rule<FileRecord | { newFolders: number }> {
    const [current, known] = yield * together(this.#contents.find(ownerId, name), this.#tree.known(ownerId, name))
    if (current !== undefined && announced === undefined) return current
    const place = yield * this.#tree.place(ownerId, name, known)
    if (announced !== undefined) {
      // Locks that have expired are not found, whatever the time.
      const moment = { owner: { id: ownerId, lockedUntil: announced.lockedUntil }, time: 0 }
      yield * this.#guard.admit({ ...moment, current, place }, announced.conditions, stores(name, { current, place }))
    }
    if (current !== undefined) return current
    requireFree(place)
    return { newFolders: place.missing.length }
  }

  hasOfSize (
    ownerId: number, within: { folder: string, minBytes: number, maxBytes: number }
  ): Promise<boolean> {
    return this.#engine.read(() => ask(this.#queries.ofSize, { ownerId, ...within }, found => found.length > 0))
  }

  list (ownerId: number, page: FilePage): Promise<FileRecord[]> {
    return this.#engine.read(() => this.#listing.list(ownerId, page))
  }

  listIn (ownerId: number, page: MemberPage<FileRecord>): Promise<FileRecord[]> {
    return this.#engine.read(() => this.#members(ownerId, page))
  }

  search (ownerId: number, search: FileSearch): Promise<FoundFiles> {
    return this.#searcher.search(ownerId, search)
  }

  rename (
    ownerId: number, name: string, newName: string, quota: Quota, destination: Destination = {}
  ): Promise<FileRecord> {
    return this.#engine.transactFor(ownerId, () => this.#rename(ownerId, name, { newName, quota, destination }))
  }

  * #rename (ownerId: number, name: string, { newName, quota, destination }: Move): Rule<FileRecord> {
    const { files } = this.#engine.tables
    const beginning = yield * this.#contents.begin(ownerId, newName, quota)
    const current = yield * this.#contents.find(ownerId, name)
    if (current === undefined) throw new Problem('not_found')
    if (newName === name) {
      this.#guard.judge({ current, place: beginning.place }, destination)
      return current
    }
    const { time, current: overwritten } = beginning
    yield * this.#guard.admit({ ...beginning, current }, destination, all(removes(name), stores(newName, beginning)))
    if (overwritten !== undefined) return yield * this.#contents.moveInto(overwritten, current, beginning, destination)
    const { folderId } = yield * this.#contents.makeParents({ bytes: 0, files: 0 }, beginning)
    yield * this.#guard.end(beginning, name)
    const segment = splitPath(newName).name
    // A move alone does not change what a download of the file says.
    const updatedAt = segment === splitPath(name).name ? current.updatedAt : updateTimeOf(current, time)
    const { modifiedAt = current.modifiedAt } = destination
    const rename = writing('', db => db.update(files).set({ folderId, name: segment, updatedAt, modifiedAt })
      .where(eq(files.id, current.id)).returning(fileColumns(this.#engine.tables)))
    const [[renamed]] = yield * together(
      ask(rename), this.#changeLog.moved(current.id, { ownerId, name: newName, fromName: name, at: time })
    )
    return renamed as FileRecord
  }

  correctDate (ownerId: number, name: string): Promise<void> {
    const { tables, clock, apply } = this.#engine
    const { files } = tables
    const isTooLate = and(hasPath(tables, { ownerId, ...splitPath(name) }), gt(files.updatedAt, clock))
    const correct = writing('', db => db.update(files).set({ updatedAt: clock }).where(isTooLate))
    return apply(() => ask(correct, {}, () => {}), ownerId)
  }

  remove (ownerId: number, name: string, removal: { precondition: Conditions, isPermanent: boolean }): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#remove(ownerId, name, removal))
  }

  * #remove (ownerId: number, name: string, removal: { precondition: Conditions, isPermanent: boolean }): Rule<void> {
    const [owner, current, time] = yield * together(
      this.#owners.lock(ownerId), this.#contents.find(ownerId, name), this.#engine.now()
    )
    yield * this.#contents.remove({ owner, current, time }, removal)
  }
}

function queriesOf ({ tables }: Engine) {
  const { files } = tables
  const folder = { ownerId: placeholder('ownerId'), folder: placeholder('folder') }
  return {
    ofSize: reading('file_of_size', db => db.select({ id: files.id }).from(files).where(and(
      eq(files.ownerId, placeholder('ownerId')),
      isInFolder(tables, folder),
      between(files.size, placeholder('minBytes'), placeholder('maxBytes'))
    )).orderBy(limitedTo(asc(files.size), 1)))
  }
}
