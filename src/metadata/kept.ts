import { and, asc, type Column, desc, eq, getTableColumns, gt, inArray, isNotNull, lte, type SQL, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { FileContents } from './file-contents.ts'
import type { KeptContents, KeptRow } from './kept-contents.ts'
import { type Keeping, type KeptPage, type KeptRepository, MAX_DELETIONS, type VersionRecord, withContents } from './kept-repository.ts'
import type { Owners } from './owners.ts'
import { permits } from './preconditions.ts'
import { ask, reading, together, type Rule } from './rule.ts'

interface KeptOptions { readonly engine: Engine, readonly owners: Owners, readonly contents: FileContents, readonly keptContents: KeptContents, readonly keeping: Keeping }

export function createKeptRepository ({ engine, owners, contents, keptContents, keeping }: KeptOptions): KeptRepository {
  const { tables: { accounts, files, kept }, clock, now, read, transact, transactFor, locking, skippingLocked } = engine
  const { milliseconds, versions, deletions = MAX_DELETIONS } = keeping
  const isDeleted = isNotNull(kept.name)
  const byAge = [asc(kept.keptAt), asc(kept.id)]
  const newestFirst = [desc(kept.keptAt), desc(kept.id)]
  /** What was kept by then has expired. */
  const expiry = sql`${clock} - cast(${milliseconds} AS bigint)`
  const isLive = gt(kept.keptAt, expiry)
  // Raw SQL: in a query of one table Drizzle omits the table's name.
  const countOfContents = sql`(SELECT count(*) FROM kept k WHERE k.file_id = kept.file_id)`.mapWith(Number)

  /** The versions of a file that exist: not those that have expired, or are beyond the newest few. */
  const isVersionOf = (fileId: Column | number) => and(isLive, sql`${kept.id} IN (SELECT v.id FROM kept v
    WHERE v.file_id = ${fileId} AND v.name IS NULL ORDER BY v.kept_at DESC, v.id DESC LIMIT ${versions})`)

  /** How many versions a restore of a deleted file brings back. */
  const versionCount = sql`(SELECT count(*) FROM
    (SELECT 1 FROM kept v WHERE v.file_id = kept.file_id AND v.name IS NULL AND v.kept_at > ${expiry} LIMIT ${versions}) newest)`.mapWith(Number)

  function * findVersion (ownerId: number, name: string, id: string) {
    const [found] = yield * ask(reading('', db => db.select({ file: files, version: kept }).from(files).innerJoin(kept, eq(kept.fileId, files.id))
      .where(and(eq(files.ownerId, ownerId), eq(files.name, name), eq(kept.id, id), isVersionOf(files.id)))))
    return found
  }

  function * getVersion (ownerId: number, name: string, id: string) {
    const found = yield * findVersion(ownerId, name, id)
    if (found === undefined) throw new Problem('not_found')
    return found
  }

  function * getEntry (ownerId: number, id: string): Rule<KeptRow> {
    const [entry] = yield * ask(reading('', db => db.select().from(kept).where(and(eq(kept.id, id), eq(kept.ownerId, ownerId), isDeleted, isLive))))
    if (entry === undefined) throw new Problem('not_found')
    return entry
  }

  const oldest = (condition: SQL | undefined, limit: number) => reading('', db => db
    .select({ id: kept.id, ownerId: kept.ownerId, size: kept.size, keptAt: kept.keptAt }).from(kept).where(condition).orderBy(...byAge).limit(limit))

  /** Locks accounts in the order of their ids, so that no two transactions wait for each other. Returns the ids. */
  function * lockOwners (ownerIds: readonly number[], lock = locking): Rule<number[]> {
    const ids = Array.from(new Set(ownerIds))
    const locked = yield * ask(reading('', db => lock(db.select({ id: accounts.id }).from(accounts).where(inArray(accounts.id, ids)).orderBy(asc(accounts.id)))))
    return locked.map(({ id }) => id)
  }

  /** The ids of the content that still exists and meets the condition, once its owners are locked. */
  function * stillKept (content: readonly { readonly id: string }[], condition: SQL | undefined): Rule<string[]> {
    const rows = yield * ask(reading('', db => db.select({ id: kept.id }).from(kept).where(and(inArray(kept.id, content.map(({ id }) => id)), condition))))
    return rows.map(({ id }) => id)
  }

  return {
    listVersions: (ownerId, fileId, { after, limit }) => read(function * () {
      const rows = yield * ask(reading('', db => db.select().from(kept)
        .where(and(eq(kept.fileId, fileId), eq(kept.ownerId, ownerId), isVersionOf(fileId), isAfter(after))).orderBy(...newestFirst).limit(limit)))
      return rows.map(recordOf)
    }),

    findVersion: (ownerId, name, id) => read(function * () {
      const found = yield * findVersion(ownerId, name, id)
      return found && { file: found.file, version: recordOf(found.version) }
    }),

    restoreVersion: (ownerId, name, id, { quota, precondition }) => transactFor(ownerId, function * () {
      const beginning = yield * contents.begin(ownerId, name, quota)
      const { file, version } = yield * getVersion(ownerId, name, id)
      if (!permits(precondition, file)) throw new Problem('precondition_failed')
      return yield * contents.restoreVersion(file, version, beginning)
    }),

    removeVersion: (ownerId, name, id) => transactFor(ownerId, function * () {
      const [, time] = yield * together(owners.lock(ownerId), now())
      yield * getVersion(ownerId, name, id)
      yield * keptContents.remove([id], time)
    }),

    listTrash: (ownerId, { after, limit }) => read(function * () {
      const rows = yield * ask(reading('', db => db.select({ ...getTableColumns(kept), versions: versionCount }).from(kept)
        .where(and(eq(kept.ownerId, ownerId), isDeleted, isLive, isAfter(after))).orderBy(...newestFirst).limit(limit)))
      return rows.map(row => ({ ...recordOf(row as never), name: String(row.name), versions: Number(row.versions) }))
    }),

    restoreFile: (ownerId, id, { name, quota }) => transactFor(ownerId, function * () {
      yield * owners.lock(ownerId)
      const entry = yield * getEntry(ownerId, id)
      const restored = name ?? String(entry.name)
      const beginning = yield * contents.begin(ownerId, restored, quota)
      if (beginning.current !== undefined) throw new Problem('name_taken')
      return yield * contents.restoreFile(entry, restored, beginning)
    }),

    removeFromTrash: (ownerId, id) => transactFor(ownerId, function * () {
      const [, time] = yield * together(owners.lock(ownerId), now())
      yield * getEntry(ownerId, id)
      yield * keptContents.remove([id], time)
    }),

    emptyTrash: (ownerId, limit) => transactFor(ownerId, function * () {
      yield * lockOwners([ownerId])
      // Counted only after the limit: otherwise PostgreSQL takes the index of the age, which has the content of everybody.
      const entries = withContents(yield * ask(reading('', db => {
        const page = db.select().from(kept).where(and(eq(kept.ownerId, ownerId), isDeleted)).orderBy(...byAge).limit(limit).as('kept')
        return db.select({ id: page.id, contents: countOfContents }).from(page).orderBy(asc(page.keptAt), asc(page.id))
      })), deletions)
      return { files: entries.length, bytes: yield * keptContents.remove(entries.map(({ id }) => id), yield * now()) }
    }),

    async removeExpired (limit) {
      const hasExpired = lte(kept.keptAt, expiry)
      // Usually there is none, and a write costs a sync.
      if ((await read(() => ask(oldest(hasExpired, 1)))).length === 0) return false
      return transact(function * () {
        const found = yield * ask(oldest(hasExpired, limit))
        // What another process or a request is changing is left for the next time.
        const free = yield * lockOwners(found.map(({ ownerId }) => ownerId), skippingLocked)
        const removable = yield * stillKept(found, and(inArray(kept.ownerId, free), hasExpired))
        yield * keptContents.remove(removable, yield * now())
        return removable.length === limit
      })
    },

    removeOldest: (bytes, limit, ownerId) => transact(function * () {
      const found = yield * ask(oldest(and(gt(kept.size, 0), ownerId === undefined ? undefined : eq(kept.ownerId, ownerId)), limit))
      let missing = bytes
      const needed = found.filter(({ size }) => {
        const isNeeded = missing > 0
        missing -= size
        return isNeeded
      })
      yield * lockOwners(needed.map(({ ownerId }) => ownerId))
      // Content that was restored and replaced again in the meantime is no longer old.
      const removable = yield * stillKept(needed, lte(kept.keptAt, needed.at(-1)?.keptAt ?? 0))
      return yield * keptContents.remove(removable, yield * now())
    })
  }

  function recordOf ({ id, ownerId, fileId, size, type, sha256, storedAt, keptAt }: KeptRow): VersionRecord {
    return { id, ownerId, fileId, size, type, sha256, storedAt, keptAt, expiresAt: keptAt + milliseconds }
  }

  function isAfter (after: KeptPage['after']): SQL | undefined {
    return after && sql`(${kept.keptAt}, ${kept.id}) < (${after.key}, ${after.id})`
  }
}
