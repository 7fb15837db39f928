import {
  and, asc, type Column, desc, eq, gt, inArray, isNotNull, lte, type SQL, sql
} from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { fileColumns, hasPath, keptColumns } from './file-columns.ts'
import type { Keeping, KeptPage } from './kept-repository.ts'
import { splitPath } from './paths.ts'
import { reading } from './rule.ts'
import type { Tables } from './schema.ts'

/** Content by its id, and when it was kept. */
interface Found { readonly id: string, readonly keptAt: number }

/** Queries of kept content. Those of one version, one entry or a list find nothing that has expired. */
export class KeptQueries {
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
    return reading('', db => db.select(keptColumns(this.#tables)).from(kept).where(isThis).orderBy(desc(kept.keptAt), desc(kept.id)).limit(limit))
  }

  versionById (ownerId: number, name: string, id: string) {
    const { files, kept } = this.#tables
    const isThis = and(
      hasPath(this.#tables, { ownerId, ...splitPath(name) }), eq(kept.id, id), this.#isVersionOf(files.id)
    )
    return reading('', db => db.select({ file: fileColumns(this.#tables), version: keptColumns(this.#tables) }).from(files).innerJoin(kept, eq(kept.fileId, files.id))
      .where(isThis))
  }

  trashOf (ownerId: number, { after, limit }: KeptPage) {
    const { kept } = this.#tables
    // How many versions a restore brings back.
    const versions = sql`(SELECT count(*) FROM (SELECT 1 FROM kept v WHERE v.file_id = kept.file_id AND v.name IS NULL
      AND v.kept_at > ${this.#expiry} LIMIT ${this.#maxVersions}) newest)`.mapWith(Number)
    return reading('', db => db.select({ ...keptColumns(this.#tables), versions }).from(kept)
      .where(and(eq(kept.ownerId, ownerId), isNotNull(kept.name), this.#isLive(), this.#isAfter(after)))
      .orderBy(desc(kept.keptAt), desc(kept.id)).limit(limit))
  }

  entryById (ownerId: number, id: string) {
    const { kept } = this.#tables
    return reading('', db => db.select(keptColumns(this.#tables)).from(kept)
      .where(and(eq(kept.id, id), eq(kept.ownerId, ownerId), isNotNull(kept.name), this.#isLive())))
  }

  /** Entries that one recursive deletion took, the first deleted first. */
  entriesOf (ownerId: number, deletedWith: string, { after, limit }: KeptPage) {
    const { kept } = this.#tables
    return reading('', db => db.select(keptColumns(this.#tables)).from(kept).where(and(
      eq(kept.ownerId, ownerId),
      eq(kept.deletedWith, deletedWith),
      this.#isLive(),
      after && sql`(${kept.keptAt}, ${kept.id}) > (${after.key}, ${after.id})`
    )).orderBy(asc(kept.keptAt), asc(kept.id)).limit(limit))
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
