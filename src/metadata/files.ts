import { and, asc, between, eq, gt, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { updateTimeOf, type FileContents } from './file-contents.ts'
import type { KeptContents } from './kept-contents.ts'
import type { FileRepository } from './metadata.ts'
import type { Owners } from './owners.ts'
import { afterPosition, limitedTo, ordering } from './paging.ts'
import { permits, type Precondition } from './preconditions.ts'
import type { FilePage, FileRecord, NewFile, Quota } from './records.ts'
import { ask, reading, Refusal, together, writing, type Rule } from './rule.ts'
import type { StoreResult } from './uploads-repository.ts'

const { placeholder } = sql

interface FileOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly contents: FileContents
  readonly keptContents: KeptContents
}

/** What becomes of a file of that name: it stays, or the new one is stored. @throws if neither may be. */
type Decide = (current: FileRecord | undefined) => StoreResult | undefined

export class FileRules implements FileRepository {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #owners: Owners
  readonly #contents: FileContents
  readonly #keptContents: KeptContents

  constructor ({ engine, owners, contents, keptContents }: FileOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#owners = owners
    this.#contents = contents
    this.#keptContents = keptContents
  }

  add (file: NewFile, quota: Quota): Promise<StoreResult> {
    return this.#store(file, quota, current => {
      if (current === undefined) return undefined
      if (current.sha256 !== file.sha256 || current.size !== file.size) throw new Problem('name_taken')
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

  hasOfSize (ownerId: number, { minBytes, maxBytes }: { minBytes: number, maxBytes: number }): Promise<boolean> {
    return this.#engine.read(() =>
      ask(this.#queries.ofSize, { ownerId, minBytes, maxBytes }, found => found.length > 0))
  }

  list (ownerId: number, page: FilePage): Promise<FileRecord[]> {
    const { tables: { files }, read } = this.#engine
    return read(() => ask(reading('', db => db.select().from(files)
      .where(and(eq(files.ownerId, ownerId), afterPosition(page, this.#engine)))
      .orderBy(...ordering(page.order, files)).limit(page.limit))))
  }

  rename (ownerId: number, name: string, newName: string): Promise<FileRecord> {
    return this.#engine.transactFor(ownerId, () => this.#rename(ownerId, name, newName))
  }

  * #rename (ownerId: number, name: string, newName: string): Rule<FileRecord> {
    const { tables: { files }, now } = this.#engine
    // The owner's lock orders this with files that are added under the new name.
    const [, current, time] = yield * together(this.#owners.lock(ownerId), this.#contents.find(ownerId, name), now())
    if (current === undefined) throw new Problem('not_found')
    if (newName === name) return current
    try {
      const changes = { name: newName, updatedAt: updateTimeOf(current, time) }
      const [renamed] = yield * ask(writing('', db => db.update(files).set(changes)
        .where(eq(files.id, current.id)).returning()))
      return renamed as FileRecord
    } catch (error) {
      throw error instanceof Refusal ? new Problem('name_taken', { cause: error }) : error
    }
  }

  correctDate (ownerId: number, name: string): Promise<void> {
    const { tables: { files }, clock, apply } = this.#engine
    const isTooLate = and(eq(files.ownerId, ownerId), eq(files.name, name), gt(files.updatedAt, clock))
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

function queriesOf ({ tables: { files, blobLeases } }: Engine) {
  return {
    ofSize: reading('file_of_size', db => db.select({ id: files.id }).from(files).where(and(
      eq(files.ownerId, placeholder('ownerId')), between(files.size, placeholder('minBytes'), placeholder('maxBytes'))
    )).orderBy(limitedTo(asc(files.size), 1))),
    byBlob: reading('file_by_blob', db => db.select().from(files).where(eq(files.blobId, placeholder('blobId')))),
    leaseOf: reading('lease_of_blob', db => db.select({ blobId: blobLeases.blobId }).from(blobLeases)
      .where(eq(blobLeases.blobId, placeholder('blobId'))))
  }
}
