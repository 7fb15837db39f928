import { and, asc, type Column, desc, eq, getTableColumns, gt, inArray, isNotNull, lte, type SQL, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { FileContents } from './file-contents.ts'
import type { KeptContents, KeptRow } from './kept-contents.ts'
import {
  type Keeping, type KeptPage, type KeptRepository, MAX_DELETIONS, type RemovedTrash, type TrashRecord,
  type VersionRecord
} from './kept-repository.ts'
import type { Owners } from './owners.ts'
import { permits } from './preconditions.ts'
import type { FileRecord } from './records.ts'
import { type Ask, ask, reading, together, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'

interface KeptOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly contents: FileContents
  readonly keptContents: KeptContents
  readonly keeping: Keeping
}

type VersionChange = Parameters<KeptRepository['restoreVersion']>[3]
type FileRestore = Parameters<KeptRepository['restoreFile']>[2]

export class KeptRules implements KeptRepository {
  readonly #engine: Engine
  readonly #kept: KeptQueries
  readonly #owners: Owners
  readonly #contents: FileContents
  readonly #keptContents: KeptContents
  readonly #keeping: Keeping

  constructor ({ engine, owners, contents, keptContents, keeping }: KeptOptions) {
    this.#engine = engine
    this.#kept = new KeptQueries(engine, keeping)
    this.#owners = owners
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
    if (!permits(precondition, file)) throw new Problem('precondition_failed')
    return yield * this.#contents.restoreVersion(file, version, beginning)
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
      { ...this.#recordOf(row as never), name: String(row.name), versions: Number(row.versions) }
    ))))
  }

  restoreFile (ownerId: number, id: string, change: FileRestore): Promise<FileRecord> {
    return this.#engine.transactFor(ownerId, () => this.#restoreFile(ownerId, id, change))
  }

  * #restoreFile (ownerId: number, id: string, { name, quota }: FileRestore): Rule<FileRecord> {
    const [, entry] = yield * together(this.#owners.lock(ownerId), this.#getEntry(ownerId, id))
    const restored = name ?? String(entry.name)
    const beginning = yield * this.#contents.begin(ownerId, restored, quota)
    if (beginning.current !== undefined) throw new Problem('name_taken')
    return yield * this.#contents.restoreFile(entry, restored, beginning)
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

  #recordOf ({ id, ownerId, fileId, size, type, sha256, storedAt, keptAt }: KeptRow): VersionRecord {
    return { id, ownerId, fileId, size, type, sha256, storedAt, keptAt, expiresAt: keptAt + this.#keeping.milliseconds }
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

/** Content by its id, and when it was kept. */
interface Found { readonly id: string, readonly keptAt: number }

/** Finds kept content. None of it is found once it has expired, except by `expired`. */
class KeptQueries {
  readonly #tables: Tables
  readonly #expiry: SQL
  readonly #maxVersions: number

  constructor ({ tables, clock }: Engine, { milliseconds, versions }: Keeping) {
    this.#tables = tables
    this.#expiry = sql`${clock} - cast(${milliseconds} AS bigint)`
    this.#maxVersions = versions
  }

  versionsOf (ownerId: number, fileId: number, { after, limit }: KeptPage) {
    const { kept } = this.#tables
    const isThis = and(
      eq(kept.fileId, fileId), eq(kept.ownerId, ownerId), this.#isVersionOf(fileId), this.#isAfter(after)
    )
    return reading('', db => db.select().from(kept).where(isThis).orderBy(desc(kept.keptAt), desc(kept.id)).limit(limit))
  }

  versionById (ownerId: number, name: string, id: string) {
    const { files, kept } = this.#tables
    const isThis = and(eq(files.ownerId, ownerId), eq(files.name, name), eq(kept.id, id), this.#isVersionOf(files.id))
    return reading('', db => db.select({ file: files, version: kept }).from(files).innerJoin(kept, eq(kept.fileId, files.id))
      .where(isThis))
  }

  trashOf (ownerId: number, { after, limit }: KeptPage) {
    const { kept } = this.#tables
    // How many versions a restore brings back.
    const versions = sql`(SELECT count(*) FROM (SELECT 1 FROM kept v WHERE v.file_id = kept.file_id AND v.name IS NULL
      AND v.kept_at > ${this.#expiry} LIMIT ${this.#maxVersions}) newest)`.mapWith(Number)
    return reading('', db => db.select({ ...getTableColumns(kept), versions }).from(kept)
      .where(and(eq(kept.ownerId, ownerId), isNotNull(kept.name), this.#isLive(), this.#isAfter(after)))
      .orderBy(desc(kept.keptAt), desc(kept.id)).limit(limit))
  }

  entryById (ownerId: number, id: string) {
    const { kept } = this.#tables
    return reading('', db => db.select().from(kept)
      .where(and(eq(kept.id, id), eq(kept.ownerId, ownerId), isNotNull(kept.name), this.#isLive())))
  }

  /** The oldest entries of a trash, with the number of their contents. */
  oldestEntries (ownerId: number, limit: number) {
    const { kept } = this.#tables
    // Raw SQL: in a query of one table Drizzle omits the table's name.
    const contents = sql`(SELECT count(*) FROM kept k WHERE k.file_id = kept.file_id)`.mapWith(Number)
    // Counted after the limit: otherwise PostgreSQL takes the index by age, which has the content of all owners.
    return reading('', db => {
      const page = db.select().from(kept).where(and(eq(kept.ownerId, ownerId), isNotNull(kept.name)))
        .orderBy(asc(kept.keptAt), asc(kept.id)).limit(limit).as('kept')
      return db.select({ id: page.id, contents }).from(page).orderBy(asc(page.keptAt), asc(page.id))
    })
  }

  expired (limit: number) {
    return this.#oldest(lte(this.#tables.kept.keptAt, this.#expiry), limit)
  }

  /** The longest-kept content of an owner, or of all, except empty content. */
  oldestOf (ownerId: number | undefined, limit: number) {
    const { kept } = this.#tables
    return this.#oldest(and(gt(kept.size, 0), ownerId === undefined ? undefined : eq(kept.ownerId, ownerId)), limit)
  }

  #oldest (condition: SQL | undefined, limit: number) {
    const { kept } = this.#tables
    return reading('', db => db.select({ id: kept.id, ownerId: kept.ownerId, size: kept.size, keptAt: kept.keptAt }).from(kept)
      .where(condition).orderBy(asc(kept.keptAt), asc(kept.id)).limit(limit))
  }

  /** Which of these are still expired, and belong to one of the owners. */
  stillExpired (found: readonly Found[], ownerIds: readonly number[]) {
    const { kept } = this.#tables
    return this.#still(found, and(inArray(kept.ownerId, ownerIds), lte(kept.keptAt, this.#expiry)))
  }

  /** Which of these were kept by a time. */
  keptBy (found: readonly Found[], time: number) {
    return this.#still(found, lte(this.#tables.kept.keptAt, time))
  }

  #still (found: readonly Found[], condition: SQL | undefined) {
    const { kept } = this.#tables
    return reading('', db => db.select({ id: kept.id }).from(kept).where(and(inArray(kept.id, found.map(({ id }) => id)), condition)))
  }

  #isLive (): SQL {
    return gt(this.#tables.kept.keptAt, this.#expiry)
  }

  /** The versions of a file that exist: not those that have expired, or are beyond the newest few. */
  #isVersionOf (fileId: Column | number): SQL | undefined {
    return and(this.#isLive(), sql`${this.#tables.kept.id} IN (SELECT v.id FROM kept v
      WHERE v.file_id = ${fileId} AND v.name IS NULL ORDER BY v.kept_at DESC, v.id DESC LIMIT ${this.#maxVersions})`)
  }

  #isAfter (after: KeptPage['after']): SQL | undefined {
    const { kept } = this.#tables
    return after && sql`(${kept.keptAt}, ${kept.id}) < (${after.key}, ${after.id})`
  }
}
