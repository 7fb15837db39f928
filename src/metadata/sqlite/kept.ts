import { and, asc, desc, eq, getTableColumns, gt, inArray, isNotNull, lte, sql, type SQL } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import type { Keeping, KeptPage, KeptRepository, VersionRecord } from '../kept.ts'
import { permits } from '../preconditions.ts'
import type { FileRecord } from '../records.ts'
import type { Committer } from './committer.ts'
import type { FileWriter } from './file-writer.ts'
import { newestVersions, versionCount, type KeptRow, type KeptWriter } from './kept-writer.ts'
import { kept } from './schema.ts'

interface KeptOptions { db: BetterSQLite3Database, committer: Committer, writer: FileWriter, keptWriter: KeptWriter, keeping: Keeping }

export function createKeptRepository ({ db, committer: { commit, read }, writer, keptWriter, keeping }: KeptOptions): KeptRepository {
  const { milliseconds } = keeping
  const isDeleted = isNotNull(kept.name)
  const isLive = (now: number) => sql`${kept.keptAt} > ${now - milliseconds}`

  function fileOf (ownerId: number, name: string): FileRecord {
    const file = writer.find(ownerId, name)
    if (file === undefined) throw new Problem('not_found')
    return file
  }

  function findVersion (file: FileRecord, id: string, now: number): KeptRow | undefined {
    const newest = newestVersions(db, keeping, { fileId: file.id, now })
    return db.select().from(newest).where(eq(newest.id, id)).get()
  }

  function versionOf (file: FileRecord, id: string, now: number): KeptRow {
    const version = findVersion(file, id, now)
    if (version === undefined) throw new Problem('not_found')
    return version
  }

  function entryOf (ownerId: number, id: string, now: number): KeptRow {
    const entry = db.select().from(kept).where(and(eq(kept.id, id), eq(kept.ownerId, ownerId), isDeleted, isLive(now))).get()
    if (entry === undefined) throw new Problem('not_found')
    return entry
  }

  const oldest = (condition: SQL | undefined, limit: number) => db.select({ id: kept.id, size: kept.size }).from(kept)
    .where(condition).orderBy(asc(kept.keptAt), asc(kept.id)).limit(limit).all()

  const remove = (rows: { id: string }[]) => keptWriter.remove(inArray(kept.id, rows.map(({ id }) => id)))

  /** Deletes the oldest that match. Usually there is none, and a transaction would cost a sync. */
  async function removeOldest (condition: SQL | undefined, limit: number): Promise<{ count: number, bytes: number }> {
    const isNone = await read(() => oldest(condition, 1).length === 0)
    if (isNone) return { count: 0, bytes: 0 }
    return commit(() => {
      const found = oldest(condition, limit)
      return { count: found.length, bytes: remove(found) }
    })
  }

  return {
    listVersions: (ownerId, fileId, { after, limit, now = Date.now() }) => read(() => {
      const newest = newestVersions(db, keeping, { fileId, now })
      return db.select().from(newest).where(and(eq(newest.ownerId, ownerId), after && sql`(${newest.keptAt}, ${newest.id}) < (${after.key}, ${after.id})`))
        .orderBy(desc(newest.keptAt), desc(newest.id)).limit(limit).all().map(recordOf)
    }),

    findVersion: (ownerId, name, id, now = Date.now()) => read(() => {
      const file = writer.find(ownerId, name)
      const version = file && findVersion(file, id, now)
      return file && version && { file, version: recordOf(version) }
    }),

    restoreVersion: (ownerId, name, id, { quota, precondition, now = Date.now() }) => commit(() => {
      const current = fileOf(ownerId, name)
      const version = versionOf(current, id, now)
      if (!permits(precondition, current)) throw new Problem('precondition_failed')
      return writer.restoreVersion(current, version, { quota, now })
    }),

    removeVersion: (ownerId, name, id, now = Date.now()) => commit(() => {
      keptWriter.remove(eq(kept.id, versionOf(fileOf(ownerId, name), id, now).id))
    }),

    listTrash: (ownerId, { after, limit, now = Date.now() }) => read(() => db.select({ ...getTableColumns(kept), versions: versionCount(keeping, now) }).from(kept)
      .where(and(eq(kept.ownerId, ownerId), isDeleted, isLive(now), isAfter(after))).orderBy(desc(kept.keptAt), desc(kept.id)).limit(limit).all()
      .map(row => ({ ...recordOf(row), name: String(row.name), versions: row.versions }))),

    restoreFile: (ownerId, id, { name, quota, now = Date.now() }) => commit(() => {
      const entry = entryOf(ownerId, id, now)
      const restored = name ?? String(entry.name)
      if (writer.find(ownerId, restored) !== undefined) throw new Problem('name_taken')
      return writer.restoreFile(entry, { name: restored, quota, now })
    }),

    removeFromTrash: (ownerId, id, now = Date.now()) => commit(() => { keptWriter.remove(eq(kept.id, entryOf(ownerId, id, now).id)) }),

    async emptyTrash (ownerId, limit) {
      const { count, bytes } = await removeOldest(and(eq(kept.ownerId, ownerId), isDeleted), limit)
      return { files: count, bytes }
    },

    removeExpiredContent: async (limit, now = Date.now()) => (await removeOldest(lte(kept.keptAt, now - milliseconds), limit)).count === limit,

    removeOldestContent: (bytes, limit) => commit(() => {
      let missing = bytes
      return remove(oldest(gt(kept.size, 0), limit).filter(({ size }) => {
        const isNeeded = missing > 0
        missing -= size
        return isNeeded
      }))
    })
  }

  function recordOf ({ id, ownerId, fileId, size, type, sha256, storedAt, keptAt }: KeptRow): VersionRecord {
    return { id, ownerId, fileId, size, type, sha256, storedAt, keptAt, expiresAt: keptAt + milliseconds }
  }
}

function isAfter (after: KeptPage['after']): SQL | undefined {
  return after && sql`(${kept.keptAt}, ${kept.id}) < (${after.key}, ${after.id})`
}
