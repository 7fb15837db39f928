import { and, asc, desc, eq, getTableColumns, gt, inArray, isNotNull, isNull, lte, sql, type SQL } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import { Problem } from '../../problems.ts'
import type { Keeping, KeptPage, KeptRepository, VersionRecord } from '../kept.ts'
import { permits } from '../preconditions.ts'
import { type Quota, refuseBeyondQuota } from '../records.ts'
import { clock, readClock, type Connections, type Db } from './connections.ts'
import { accounts, files, kept } from './schema.ts'
import { sumUploads } from './uploads.ts'

type Row = typeof kept.$inferSelect

/** By default that of the database. */
type Now = number | undefined

/** Content, and its owner, whose row must be locked before it is deleted. */
interface Owned { readonly id: string, readonly ownerId: number }

const isDeleted = isNotNull(kept.name)
const byAge = [asc(kept.keptAt), asc(kept.id)]
const newestFirst = [desc(kept.keptAt), desc(kept.id)]

/** All but lists lock the owner's row first, as everything does that changes the usage: so quotas stay exact. */
export function createKeptRepository ({ read, write }: Connections, keeping: Keeping): KeptRepository {
  const { milliseconds, versions } = keeping
  /** What was kept by then has expired. */
  const expiry = (now: Now) => now === undefined ? sql`${clock} - ${milliseconds}` : now - milliseconds
  const isLive = (now: Now) => gt(kept.keptAt, expiry(now))

  /** The versions of a file that exist: not those that have expired, or are beyond the newest few. */
  const newestVersions = (db: Db, fileId: number | typeof files.id, now: Now) => db.select().from(kept)
    .where(and(eq(kept.fileId, fileId), isNull(kept.name), isLive(now))).orderBy(...newestFirst).limit(versions).as('newest')

  /** How many versions a restore of a deleted file brings back. Raw SQL: in a query of one table Drizzle omits the table's name. */
  const versionCount = (now: Now) =>
    sql`least(${versions}, (SELECT count(*) FROM kept v WHERE v.file_id = kept.file_id AND v.name IS NULL AND v.kept_at > ${expiry(now)}))`.mapWith(Number)

  async function findVersion (db: Db, { ownerId, name, id, now }: { ownerId: number, name: string, id: string, now: Now }) {
    const newest = newestVersions(db, files.id, now)
    const [row] = await db.select().from(files).innerJoinLateral(newest, eq(newest.id, id)).where(and(eq(files.ownerId, ownerId), eq(files.name, name)))
    return row && { file: row.files, version: row.newest }
  }

  async function getVersion (db: Db, wanted: Parameters<typeof findVersion>[1]) {
    const found = await findVersion(db, wanted)
    if (found === undefined) throw new Problem('not_found')
    return found
  }

  async function getEntry (db: Db, ownerId: number, id: string, now: Now): Promise<Row> {
    const [entry] = await db.select().from(kept).where(and(eq(kept.id, id), eq(kept.ownerId, ownerId), isDeleted, isLive(now)))
    if (entry === undefined) throw new Problem('not_found')
    return entry
  }

  return {
    listVersions: (ownerId, fileId, { after, limit, now }) => read(async db => {
      const newest = newestVersions(db, fileId, now)
      const rows = await db.select().from(newest).where(and(eq(newest.ownerId, ownerId), isAfter(newest, after)))
        .orderBy(desc(newest.keptAt), desc(newest.id)).limit(limit)
      return rows.map(recordOf)
    }),

    findVersion: (ownerId, name, id, now) => read(async db => {
      const found = await findVersion(db, { ownerId, name, id, now })
      return found && { file: found.file, version: recordOf(found.version) }
    }),

    restoreVersion: (ownerId, name, id, { quota, precondition, now }) => write(async db => {
      const used = await lockAccount(db, ownerId)
      const { file, version: { size, type, sha256, storedAt } } = await getVersion(db, { ownerId, name, id, now })
      if (!permits(precondition, file)) throw new Problem('precondition_failed')
      const bytes = size - file.size
      await refuseBeyond(db, { ownerId, used, added: { bytes, files: 0 }, quota })
      await db.delete(kept).where(eq(kept.id, id))
      const updatedAt = Math.max(file.updatedAt, now ?? await readClock(db))
      const { rows: [row] } = await db.execute<{ bytes: string }>(
        sql`SELECT keep_version(files, ${size}, ${sha256}, ${updatedAt}, ${milliseconds}, ${versions}) AS bytes FROM files WHERE id = ${file.id}`)
      const [restored] = await db.update(files).set({ size, type, sha256, blobId: id, updatedAt, storedAt }).where(eq(files.id, file.id)).returning()
      await charge(db, ownerId, { bytes, files: 0, keptBytes: Number(row?.bytes) - size })
      return restored as NonNullable<typeof restored>
    }),

    removeVersion: (ownerId, name, id, now) => write(async db => {
      await lockAccount(db, ownerId)
      await getVersion(db, { ownerId, name, id, now })
      await remove(db, [{ id }])
    }),

    listTrash: (ownerId, { after, limit, now }) => read(async db => {
      const rows = await db.select({ ...getTableColumns(kept), versions: versionCount(now) }).from(kept)
        .where(and(eq(kept.ownerId, ownerId), isDeleted, isLive(now), isAfter(kept, after))).orderBy(...newestFirst).limit(limit)
      return rows.map(row => ({ ...recordOf(row), name: String(row.name), versions: row.versions }))
    }),

    restoreFile: (ownerId, id, { name: wanted, quota, now }) => write(async db => {
      const used = await lockAccount(db, ownerId)
      const { fileId, keptAt, createdAt, ...entry } = await getEntry(db, ownerId, id, now)
      const name = wanted ?? String(entry.name)
      const [other] = await db.select({ id: files.id }).from(files).where(and(eq(files.ownerId, ownerId), eq(files.name, name)))
      if (other !== undefined) throw new Problem('name_taken')
      await refuseBeyond(db, { ownerId, used, added: { bytes: entry.size, files: 1 }, quota })
      await db.delete(kept).where(eq(kept.id, id))
      const updatedAt = Math.max(keptAt, now ?? await readClock(db))
      const [file] = await db.insert(files).values({ ...entry, id: fileId, name, blobId: id, createdAt: Number(createdAt), updatedAt }).returning()
      await charge(db, ownerId, { bytes: entry.size, files: 1, keptBytes: -entry.size })
      return file as NonNullable<typeof file>
    }),

    removeFromTrash: (ownerId, id, now) => write(async db => {
      await lockAccount(db, ownerId)
      await getEntry(db, ownerId, id, now)
      await remove(db, [{ id }])
    }),

    emptyTrash: (ownerId, limit) => write(async db => {
      await lockOwners(db, [{ ownerId }])
      const entries = await db.select({ id: kept.id }).from(kept).where(and(eq(kept.ownerId, ownerId), isDeleted)).orderBy(...byAge).limit(limit)
      return { files: entries.length, bytes: await remove(db, entries) }
    }),

    async removeExpiredContent (limit, now) {
      const hasExpired = lte(kept.keptAt, expiry(now))
      const expired = (db: Db) => db.select({ id: kept.id, ownerId: kept.ownerId }).from(kept).where(hasExpired).orderBy(...byAge).limit(limit)
      // Usually there is none, and a write costs a sync.
      if ((await read(expired)).length === 0) return false
      return write(async db => {
        const found = await expired(db)
        // What another process or a request is changing is left for the next time.
        const owners = await lockOwners(db, found, { skipLocked: true })
        const removable = await stillKept(db, found, and(inArray(kept.ownerId, owners), hasExpired))
        await remove(db, removable)
        return removable.length === limit
      })
    },

    removeOldestContent: (bytes, limit) => write(async db => {
      const oldest = await db.select({ id: kept.id, ownerId: kept.ownerId, size: kept.size, keptAt: kept.keptAt }).from(kept).where(gt(kept.size, 0)).orderBy(...byAge).limit(limit)
      let missing = bytes
      const needed = oldest.filter(({ size }) => {
        const isNeeded = missing > 0
        missing -= size
        return isNeeded
      })
      await lockOwners(db, needed)
      // Content that was restored and replaced again in the meantime is no longer old.
      return remove(db, await stillKept(db, needed, lte(kept.keptAt, Number(needed.at(-1)?.keptAt ?? 0))))
    })
  }

  function recordOf ({ id, ownerId, fileId, size, type, sha256, storedAt, keptAt }: Row): VersionRecord {
    return { id, ownerId, fileId, size, type, sha256, storedAt, keptAt, expiresAt: keptAt + milliseconds }
  }
}

function isAfter (table: { keptAt: PgColumn, id: PgColumn }, after: KeptPage['after']): SQL | undefined {
  return after && sql`(${table.keptAt}, ${table.id}) < (${after.key}, ${after.id})`
}

interface Used { readonly bytes: number, readonly files: number }

/** Locks an account until the transaction ends. Returns what it uses. @throws not_found. */
async function lockAccount (db: Db, id: number): Promise<Used> {
  const [used] = await db.select({ bytes: accounts.usedBytes, files: accounts.usedFiles }).from(accounts)
    .where(and(eq(accounts.id, id), isNull(accounts.removedAt))).for('no key update')
  if (used === undefined) throw new Problem('not_found')
  return used
}

/** Locks the owners of content in the order of their ids, so that no two transactions wait for each other. Returns their ids. */
async function lockOwners (db: Db, content: Pick<Owned, 'ownerId'>[], config: { skipLocked?: true } = {}): Promise<number[]> {
  const ids = Array.from(new Set(content.map(({ ownerId }) => ownerId)))
  const locked = await db.select({ id: accounts.id }).from(accounts).where(inArray(accounts.id, ids)).orderBy(asc(accounts.id)).for('no key update', config)
  return locked.map(({ id }) => id)
}

/** That part of the content which is still there and meets the condition, after its owners were locked. */
async function stillKept (db: Db, content: Owned[], condition: SQL | undefined): Promise<{ id: string }[]> {
  return db.select({ id: kept.id }).from(kept).where(and(inArray(kept.id, content.map(({ id }) => id)), condition))
}

/** Refuses content that exceeds the quota even if nothing is kept. @throws quota_exceeded. */
async function refuseBeyond (db: Db, { ownerId, used, added, quota }: { ownerId: number, used: Used, added: Used, quota: Quota }): Promise<void> {
  const { bytes, uploads } = await sumUploads(db, ownerId)
  refuseBeyondQuota('bytes', { used: used.bytes + bytes, added: added.bytes, limit: quota.bytes })
  refuseBeyondQuota('files', { used: used.files + uploads, added: added.files, limit: quota.files })
}

/** Changes the usage of an account that is locked. */
async function charge (db: Db, id: number, { bytes, files, keptBytes }: Used & { keptBytes: number }): Promise<void> {
  await db.update(accounts).set({
    usedBytes: sql`${accounts.usedBytes} + ${bytes}`,
    usedFiles: sql`${accounts.usedFiles} + ${files}`,
    keptBytes: sql`${accounts.keptBytes} + ${keptBytes}`
  }).where(eq(accounts.id, id))
}

/** Deletes content of accounts that are locked, a deleted file with its versions. Returns its bytes. */
async function remove (db: Db, content: { id: string }[]): Promise<number> {
  const { rows: [row] } = await db.execute<{ bytes: string }>(sql`SELECT remove_kept(${sql.param(content.map(({ id }) => id))}) AS bytes`)
  return Number(row?.bytes)
}
