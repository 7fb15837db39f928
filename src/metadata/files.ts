import { and, asc, between, desc, eq, gt, type SQL, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { fileColumns, hasPath, isInFolder } from './file-columns.ts'
import { updateTimeOf, type FileContents } from './file-contents.ts'
import { fileTaken, type FolderTree, requireFree } from './folder-tree.ts'
import type { KeptContents } from './kept-contents.ts'
import type { FileRepository } from './metadata.ts'
import type { Owners } from './owners.ts'
import { afterPosition, limitedTo, ordering } from './paging.ts'
import { splitPath } from './paths.ts'
import { permits, type Precondition } from './preconditions.ts'
import type { FilePage, FileRecord, NewFile, Quota } from './records.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'
import type { StoreResult } from './uploads-repository.ts'

const { placeholder } = sql

interface FileOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly keptContents: KeptContents
}

/** What becomes of a file of that name: it stays, or the new one is stored. @throws if neither may be. */
type Decide = (current: FileRecord | undefined) => StoreResult | undefined

export class FileRules implements FileRepository {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #owners: Owners
  readonly #tree: FolderTree
  readonly #contents: FileContents
  readonly #keptContents: KeptContents

  constructor ({ engine, owners, tree, contents, keptContents }: FileOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#owners = owners
    this.#tree = tree
    this.#contents = contents
    this.#keptContents = keptContents
  }

  add (file: NewFile, quota: Quota): Promise<StoreResult> {
    return this.#store(file, quota, current => {
      if (current === undefined) return undefined
      if (current.sha256 !== file.sha256 || current.size !== file.size) throw fileTaken(file.name)
      return { file: current, isNew: false }
    })
  }

  put (file: NewFile, quota: Quota, precondition: Precondition): Promise<StoreResult> {
    return this.#store(file, quota, current => {
      if (!permits(precondition, current)) throw new Problem('precondition_failed')
      return undefined
    })
  }

  #store (file: NewFile, quota: Quota, decide: Decide): Promise<StoreResult> {
    const { ownerId, name } = file
    const [contents, storedEarlier] = [this.#contents, () => this.#storedEarlier(file)]
    return this.#keptContents.transactWithRoom(ownerId, function * (isRepeated) {
      const beginning = yield * contents.begin(ownerId, name, quota)
      const earlier = isRepeated ? yield * storedEarlier() : undefined
      return earlier ?? decide(beginning.current) ?? (yield * contents.store(file, beginning))
    })
  }

  /** The result of an earlier try whose answer was lost; undefined if it stored nothing. */
  * #storedEarlier ({ blobId }: NewFile): Rule<StoreResult | undefined> {
    const { byBlob, leaseOf } = this.#queries
    const [[file], [lease]] = yield * together(ask(byBlob, { blobId }), ask(leaseOf, { blobId }))
    if (file !== undefined) return { file, isNew: file.createdAt === file.updatedAt }
    // Without a lease, it may have added a file that another request has since replaced or removed.
    const detail = 'It is not known whether the file was stored.'
    if (lease === undefined) throw new Problem('unavailable', { detail, headers: { 'retry-after': '1' } })
    return undefined
  }

  find (ownerId: number, name: string): Promise<FileRecord | undefined> {
    return this.#engine.readCached(`${ownerId}/${name}`, () => this.#contents.find(ownerId, name))
  }

  findPlace (ownerId: number, name: string): Promise<FileRecord | { newFolders: number }> {
    return this.#engine.read(() => this.#findPlace(ownerId, name))
  }

  * #findPlace (ownerId: number, name: string): Rule<FileRecord | { newFolders: number }> {
    const [file, known] = yield * together(this.#contents.find(ownerId, name), this.#tree.known(ownerId, name))
    if (file !== undefined) return file
    const place = yield * this.#tree.place(ownerId, name, known)
    requireFree(place)
    return { newFolders: place.missing.length }
  }

  hasOfSize (
    ownerId: number, within: { folder: string, minBytes: number, maxBytes: number }
  ): Promise<boolean> {
    return this.#engine.read(() => ask(this.#queries.ofSize, { ownerId, ...within }, found => found.length > 0))
  }

  list (ownerId: number, page: FilePage): Promise<FileRecord[]> {
    return this.#engine.read(() => page.folder === undefined
      ? this.#listAll(ownerId, page)
      : this.#listFolder(ownerId, { ...page, folder: page.folder }))
  }

  * #listFolder (ownerId: number, page: FilePage & { folder: string }): Rule<FileRecord[]> {
    const { files } = this.#engine.tables
    const folderId = yield * this.#tree.idOf(ownerId, page.folder)
    const condition = and(eq(files.folderId, folderId), afterPosition(page, this.#engine))
    return yield * this.#select(ownerId, condition, { order: ordering(page.order, files), limit: page.limit })
  }

  /** The root comes first in both orders by name. */
  * #listAll (ownerId: number, page: FilePage): Rule<FileRecord[]> {
    const { order, after, limit } = page
    const inRoot = after === undefined || after.id === 0 ? yield * this.#listFolder(ownerId, { ...page, folder: '' }) : []
    if (inRoot.length === limit) return inRoot
    const { files } = this.#engine.tables
    const position = after?.id === 0 ? undefined : after
    const isBelowRoot = gt(files.folderId, 0)
    const end = position && sql`(${position.id}, ${position.key})`
    const place = sql`(${files.folderId}, ${files.name})`
    // One bound on each side: with two lower ones SQLite would seek to the first and scan to the second.
    const [direction, condition] = order === '-name'
      ? [desc, and(isBelowRoot, end && sql`${place} < ${end}`)]
      : [asc, end ? sql`${place} > ${end}` : isBelowRoot]
    const byFolder = { order: [direction(files.folderId), direction(files.name)], limit: limit - inRoot.length }
    return [...inRoot, ...yield * this.#select(ownerId, condition, byFolder)]
  }

  #select (ownerId: number, condition: SQL | undefined, { order, limit }: { order: SQL[], limit: number }) {
    const { files } = this.#engine.tables
    return ask(reading('', db => db.select(fileColumns(this.#engine.tables)).from(files)
      .where(and(eq(files.ownerId, ownerId), condition)).orderBy(...order).limit(limit)))
  }

  rename (ownerId: number, name: string, newName: string, quota: Quota): Promise<FileRecord> {
    return this.#engine.transactFor(ownerId, () => this.#rename(ownerId, name, { newName, quota }))
  }

  * #rename (ownerId: number, name: string, { newName, quota }: { newName: string, quota: Quota }): Rule<FileRecord> {
    const { files } = this.#engine.tables
    const beginning = yield * this.#contents.begin(ownerId, newName, quota)
    const current = yield * this.#contents.find(ownerId, name)
    if (current === undefined) throw new Problem('not_found')
    if (newName === name) return current
    if (beginning.current !== undefined) throw fileTaken(newName)
    const { folderId } = yield * this.#contents.makeParents({ bytes: 0, files: 0 }, beginning)
    const segment = splitPath(newName).name
    // A move alone does not change what a download of the file says.
    const updatedAt = segment === splitPath(name).name ? current.updatedAt : updateTimeOf(current, beginning.time)
    const [renamed] = yield * ask(writing('', db => db.update(files).set({ folderId, name: segment, updatedAt })
      .where(eq(files.id, current.id)).returning(fileColumns(this.#engine.tables))))
    return renamed as FileRecord
  }

  correctDate (ownerId: number, name: string): Promise<void> {
    const { tables, clock, apply } = this.#engine
    const { files } = tables
    const isTooLate = and(hasPath(tables, { ownerId, ...splitPath(name) }), gt(files.updatedAt, clock))
    const correct = writing('', db => db.update(files).set({ updatedAt: clock }).where(isTooLate))
    return apply(() => ask(correct, {}, () => {}), ownerId)
  }

  remove (ownerId: number, name: string, removal: { precondition: Precondition, isPermanent: boolean }): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#remove(ownerId, name, removal))
  }

  * #remove (ownerId: number, name: string, removal: { precondition: Precondition, isPermanent: boolean }): Rule<void> {
    const [owner, current, time] = yield * together(
      this.#owners.lock(ownerId), this.#contents.find(ownerId, name), this.#engine.now()
    )
    yield * this.#contents.remove({ owner, current, time }, removal)
  }
}

function queriesOf ({ tables }: Engine) {
  const { files, blobLeases } = tables
  const folder = { ownerId: placeholder('ownerId'), folder: placeholder('folder') }
  return {
    ofSize: reading('file_of_size', db => db.select({ id: files.id }).from(files).where(and(
      eq(files.ownerId, placeholder('ownerId')),
      isInFolder(tables, folder),
      between(files.size, placeholder('minBytes'), placeholder('maxBytes'))
    )).orderBy(limitedTo(asc(files.size), 1))),
    byBlob: reading('file_by_blob', db => db.select(fileColumns(tables)).from(files).where(eq(files.blobId, placeholder('blobId')))),
    leaseOf: reading('lease_of_blob', db => db.select({ blobId: blobLeases.blobId }).from(blobLeases)
      .where(eq(blobLeases.blobId, placeholder('blobId'))))
  }
}
