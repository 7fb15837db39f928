import { asc, inArray } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { FileContents } from './file-contents.ts'
import type { FolderTree } from './folder-tree.ts'
import type { KeptContents, KeptRow } from './kept-contents.ts'
import {
  type Keeping, type KeptPage, type KeptRepository, MAX_DELETIONS, type RemovedTrash, type RestoredFiles,
  type TrashRecord, type VersionRecord
} from './kept-repository.ts'
import { KeptQueries } from './kept-queries.ts'
import type { Owners } from './owners.ts'
import type { FileRecord } from './records.ts'
import { type Ask, ask, reading, together, type Rule } from './rule.ts'

interface KeptOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly keptContents: KeptContents
  readonly keeping: Keeping
}

type VersionChange = Parameters<KeptRepository['restoreVersion']>[3]
type FileRestore = Parameters<KeptRepository['restoreFile']>[2]
type DeletionRestore = Parameters<KeptRepository['restoreDeletion']>[2]

/** Why a file of a recursive deletion stays in the trash. */
const REFUSALS = ['name_taken', 'quota_exceeded', 'file_locked'] as const

export class KeptRules implements KeptRepository {
  readonly #engine: Engine
  readonly #kept: KeptQueries
  readonly #owners: Owners
  readonly #tree: FolderTree
  readonly #contents: FileContents
  readonly #keptContents: KeptContents
  readonly #keeping: Keeping

  constructor ({ engine, owners, tree, contents, keptContents, keeping }: KeptOptions) {
    this.#engine = engine
    this.#kept = new KeptQueries(engine, keeping)
    this.#owners = owners
    this.#tree = tree
    this.#contents = contents
    this.#keptContents = keptContents
    this.#keeping = keeping
  }

  listVersions (ownerId: number, fileId: number, page: KeptPage): Promise<VersionRecord[]> {
    return this.#engine.read(() =>
      ask(this.#kept.versionsOf(ownerId, fileId, page), {}, rows => rows.map(row => this.#recordOf(row))))
  }

  findVersion (
    ownerId: number, name: string, id: string
  ): Promise<{ file: FileRecord, version: VersionRecord } | undefined> {
    return this.#engine.read(() => ask(this.#kept.versionById(ownerId, name, id), {},
      ([found]) => found && { file: found.file, version: this.#recordOf(found.version) }))
  }

  restoreVersion (ownerId: number, name: string, id: string, change: VersionChange): Promise<FileRecord> {
    return this.#engine.transactFor(ownerId, () => this.#restoreVersion(ownerId, name, id, change))
  }

  * #restoreVersion (
    ownerId: number, name: string, id: string, { quota, precondition }: VersionChange
  ): Rule<FileRecord> {
    const beginning = yield * this.#contents.begin(ownerId, name, quota)
    const { file, version } = yield * this.#getVersion(ownerId, name, id)
    return yield * this.#contents.restoreVersion(file, version, beginning, precondition)
  }

  #getVersion (ownerId: number, name: string, id: string): Ask<{ file: FileRecord, version: KeptRow }> {
    return ask(this.#kept.versionById(ownerId, name, id), {}, ([found]) => {
      if (found === undefined) throw new Problem('not_found')
      return found
    })
  }

  removeVersion (ownerId: number, name: string, id: string): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#remove(ownerId, id, this.#getVersion(ownerId, name, id)))
  }

  listTrash (ownerId: number, page: KeptPage): Promise<TrashRecord[]> {
    return this.#engine.read(() => ask(this.#kept.trashOf(ownerId, page), {}, rows => rows.map(row => (
      {
        ...this.#recordOf(row as never),
        name: String(row.name),
        deletedWith: row.deletedWith,
        versions: Number(row.versions)
      }
    ))))
  }

  restoreFile (ownerId: number, id: string, change: FileRestore): Promise<FileRecord> {
    return this.#engine.transactFor(ownerId, () => this.#restoreFile(ownerId, id, change))
  }

  * #restoreFile (ownerId: number, id: string, { name, quota }: FileRestore): Rule<FileRecord> {
    const [, entry] = yield * together(this.#owners.lock(ownerId), this.#getEntry(ownerId, id))
    const restored = name ?? String(entry.name)
    return yield * this.#contents.restoreFile(entry, restored, yield * this.#contents.begin(ownerId, restored, quota))
  }

  restoreDeletion (ownerId: number, deletedWith: string, change: DeletionRestore): Promise<RestoredFiles> {
    return this.#engine.transactFor(ownerId, () => this.#restoreDeletion(ownerId, deletedWith, change))
  }

  * #restoreDeletion (
    ownerId: number, deletedWith: string, { quota, ...page }: DeletionRestore
  ): Rule<RestoredFiles> {
    yield * this.#owners.lock(ownerId)
    const entries = yield * ask(this.#kept.entriesOf(ownerId, deletedWith, page))
    const names = entries.map(({ name }) => String(name))
    // Found for all at once: PostgreSQL would need two more round trips for each.
    const [locked, reserved, known, ...found] = yield * together(
      this.#owners.lock(ownerId),
      this.#owners.reserved(ownerId),
      this.#tree.known(ownerId, ...names),
      ...names.map(name => this.#contents.find(ownerId, name))
    )
    const files = new Map(names.map((name, index) => [name, found[index]]))
    const kept: RestoredFiles['kept'][number][] = []
    let owner = locked
    for (const entry of entries) {
      const name = String(entry.name)
      try {
        const place = yield * this.#tree.place(ownerId, name, known)
        const beginning = { owner, current: files.get(name), place, time: reserved.time, reserved, quota }
        files.set(name, yield * this.#contents.restoreFile(entry, name, beginning))
        const [bytes, folders] = [owner.bytes + entry.size, owner.folders + place.missing.length]
        owner = { ...owner, bytes, folders, files: owner.files + 1 }
      } catch (error) {
        // They are found before anything is changed.
        if (!(error instanceof Problem) || !isOneOf(REFUSALS, error.code)) throw error
        kept.push({ name, code: error.code })
      }
    }
    const last = entries.at(-1)
    return { restored: entries.length - kept.length, kept, last: last && { key: last.keptAt, id: last.id } }
  }

  #getEntry (ownerId: number, id: string): Ask<KeptRow> {
    return ask(this.#kept.entryById(ownerId, id), {}, ([entry]) => {
      if (entry === undefined) throw new Problem('not_found')
      return entry
    })
  }

  removeFromTrash (ownerId: number, id: string): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#remove(ownerId, id, this.#getEntry(ownerId, id)))
  }

  * #remove (ownerId: number, id: string, get: Ask<unknown>): Rule<void> {
    const [, time] = yield * together(this.#owners.lock(ownerId), this.#engine.now())
    yield * get
    yield * this.#keptContents.remove([id], time)
  }

  emptyTrash (ownerId: number, limit: number): Promise<RemovedTrash> {
    return this.#engine.transactFor(ownerId, () => this.#emptyTrash(ownerId, limit))
  }

  * #emptyTrash (ownerId: number, limit: number): Rule<RemovedTrash> {
    const { deletions = MAX_DELETIONS } = this.#keeping
    yield * this.#lockOwners([ownerId])
    const entries = firstWithin(yield * ask(this.#kept.oldestEntries(ownerId, limit)), deletions)
    return {
      files: entries.length,
      bytes: yield * this.#keptContents.remove(entries.map(({ id }) => id), yield * this.#engine.now())
    }
  }

  async removeExpired (limit: number): Promise<boolean> {
    // Usually there is none, and a write costs a sync.
    if ((await this.#engine.read(() => ask(this.#kept.expired(1)))).length === 0) return false
    return this.#engine.transact(() => this.#removeExpired(limit))
  }

  * #removeExpired (limit: number): Rule<boolean> {
    const { now, skippingLocked } = this.#engine
    const found = yield * ask(this.#kept.expired(limit))
    // Content of owners who are locked by others is left for the next time.
    const free = yield * this.#lockOwners(found.map(({ ownerId }) => ownerId), skippingLocked)
    const removable = yield * ask(this.#kept.stillExpired(found, free))
    yield * this.#keptContents.remove(removable.map(({ id }) => id), yield * now())
    return removable.length === limit
  }

  removeOldest (bytes: number, limit: number, ownerId?: number): Promise<number> {
    return this.#engine.transact(() => this.#removeOldest(bytes, limit, ownerId))
  }

  * #removeOldest (bytes: number, limit: number, ownerId: number | undefined): Rule<number> {
    let missing = bytes
    const needed = (yield * ask(this.#kept.oldestOf(ownerId, limit))).filter(({ size }) => {
      const isNeeded = missing > 0
      missing -= size
      return isNeeded
    })
    yield * this.#lockOwners(needed.map(content => content.ownerId))
    // Content that was restored and replaced again in the meantime is no longer old.
    const removable = yield * ask(this.#kept.keptBy(needed, needed.at(-1)?.keptAt ?? 0))
    return yield * this.#keptContents.remove(removable.map(({ id }) => id), yield * this.#engine.now())
  }

  /** Locks accounts in the order of their ids, so that no two transactions wait for each other. Returns the ids. */
  * #lockOwners (ownerIds: readonly number[], lock = this.#engine.locking): Rule<number[]> {
    const { accounts } = this.#engine.tables
    const ids = Array.from(new Set(ownerIds))
    return yield * ask(reading('', db => lock(db.select({ id: accounts.id }).from(accounts)
      .where(inArray(accounts.id, ids)).orderBy(asc(accounts.id)))), {}, locked => locked.map(({ id }) => id))
  }

  #recordOf (
    { name: _name, createdAt: _createdAt, deletedWith: _deletedWith, ...content }: KeptRow
  ): VersionRecord {
    return { ...content, expiresAt: content.keptAt + this.#keeping.milliseconds }
  }
}

/** The first deleted files that together have at most `maxContents` contents; at least one. */
function firstWithin<T extends { readonly contents: number }> (files: readonly T[], maxContents: number): T[] {
  let sum = 0
  return files.filter(({ contents }, index) => {
    sum += contents
    return index === 0 || sum <= maxContents
  })
}

function isOneOf<T extends string> (texts: readonly T[], text: string): text is T {
  return texts.includes(text as T)
}
