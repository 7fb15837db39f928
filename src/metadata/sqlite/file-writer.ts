import { and, eq, gt, isNull, ne, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import { permits, type Precondition } from '../preconditions.ts'
import { refuseBeyondQuota, type FileRecord, type NewFile, type Quota } from '../records.ts'
import type { UploadUsage } from '../uploads.ts'
import { createLeaseEnder } from './blobs.ts'
import type { KeptRow, KeptWriter } from './kept-writer.ts'
import { accounts, files, uploads } from './schema.ts'

/** What changes files inside the current transaction, with the usage of their owner and what is kept of them. */
export interface FileWriter {
  find (ownerId: number, name: string): FileRecord | undefined
  /** @throws quota_exceeded, not_found. */
  create (file: NewFile, limit: Limit): FileRecord
  /** @throws quota_exceeded, not_found. */
  replace (current: FileRecord, file: NewFile, limit: Limit): FileRecord
  /** @throws not_found, precondition_failed. */
  remove (ownerId: number, name: string, options: { precondition: Precondition, isPermanent: boolean, now: number }): void
  /** Gives a file the content of a version. @throws quota_exceeded, not_found. */
  restoreVersion (current: FileRecord, version: KeptRow, options: { quota: Quota, now: number }): FileRecord
  /** Makes a file of an entry of the trash. @throws quota_exceeded, not_found. */
  restoreFile (entry: KeptRow, options: { name: string, quota: Quota, now: number }): FileRecord
  /** Refuses an upload that needs more than a quota leaves, whatever is kept. @throws quota_exceeded, not_found. */
  reserve (ownerId: number, added: Change, limit: Limit): void
  /** Deletes kept content for bytes of uploads that have arrived. */
  makeRoomForUploads (ownerId: number, quota: Quota): void
  reservedBy (ownerId: number, now: number, except?: string): UploadUsage
}

interface Change { bytes: number, files: number }

interface Limit {
  quota: Quota
  /** The upload that becomes the file, and whose reservation it takes. */
  uploadId?: string
}

export function createFileWriter (db: BetterSQLite3Database, keptWriter: KeptWriter): FileWriter {
  const { placeholder } = sql
  const endLease = createLeaseEnder(db)
  const byName = db.select().from(files).where(and(eq(files.ownerId, placeholder('ownerId')), eq(files.name, placeholder('name')))).prepare()
  const insert = db.insert(files).values({
    ownerId: placeholder('ownerId'),
    name: placeholder('name'),
    size: placeholder('size'),
    type: placeholder('type'),
    sha256: placeholder('sha256'),
    blobId: placeholder('blobId'),
    createdAt: placeholder('now'),
    updatedAt: placeholder('now'),
    storedAt: placeholder('now')
  }).returning().prepare()
  const removal = db.delete(files).where(and(eq(files.ownerId, placeholder('ownerId')), eq(files.name, placeholder('name')))).returning().prepare()
  const recorded = db.select({ bytes: accounts.usedBytes, files: accounts.usedFiles, kept: accounts.keptBytes }).from(accounts)
    .where(and(eq(accounts.id, placeholder('ownerId')), isNull(accounts.removedAt))).prepare()
  const reserved = db.select({
    uploads: sql<number>`count(*)`,
    bytes: sql<number>`coalesce(sum(coalesce(${uploads.length}, ${uploads.offset})), 0)`,
    receivedBytes: sql<number>`coalesce(sum(${uploads.offset}), 0)`
  }).from(uploads).where(and(
    eq(uploads.ownerId, placeholder('ownerId')), isNull(uploads.result), gt(uploads.expiresAt, placeholder('now')), ne(uploads.id, placeholder('except'))
  )).prepare()
  const charging = db.update(accounts).set({
    usedBytes: sql`${accounts.usedBytes} + ${placeholder('bytes')}`,
    usedFiles: sql`${accounts.usedFiles} + ${placeholder('files')}`
  }).where(eq(accounts.id, placeholder('ownerId'))).prepare()

  function reservedBy (ownerId: number, now: number, except = ''): UploadUsage {
    return reserved.get({ ownerId, now, except }) as UploadUsage
  }

  /** By how many bytes files, kept content and what has arrived of uploads exceed the quota; negative if they do not. @throws quota_exceeded, not_found. */
  function reserve (ownerId: number, added: Change, { quota, uploadId }: Limit): number {
    const used = recorded.get({ ownerId })
    // The account was deleted during the upload.
    if (used === undefined) throw new Problem('not_found')
    if (quota.bytes === undefined && quota.files === undefined) return -Infinity
    const { bytes, receivedBytes, uploads } = reservedBy(ownerId, Date.now(), uploadId)
    refuseBeyondQuota('bytes', { used: used.bytes + bytes, added: added.bytes, limit: quota.bytes })
    refuseBeyondQuota('files', { used: used.files + uploads, added: added.files, limit: quota.files })
    return quota.bytes === undefined ? -Infinity : used.bytes + used.kept + receivedBytes - quota.bytes
  }

  function occupy (ownerId: number, change: Change, limit: Limit): number {
    const excess = reserve(ownerId, change, limit)
    charging.run({ ownerId, ...change })
    return excess
  }

  return {
    find: (ownerId, name) => byName.get({ ownerId, name }),

    create (file, limit) {
      const { ownerId, size } = file
      if (file.isLeased) endLease(file.blobId)
      keptWriter.makeRoom(ownerId, occupy(ownerId, { bytes: size, files: 1 }, limit) + size)
      return insert.get({ now: Date.now(), ...file })
    },

    replace (current, { size, type, sha256, blobId, isLeased, now = Date.now() }, limit) {
      const { id, ownerId } = current
      if (isLeased) endLease(blobId)
      const updatedAt = later(current, now)
      const excess = occupy(ownerId, { bytes: size - current.size, files: 0 }, limit)
      const keptBytes = keptWriter.replaced(current, { size, sha256 }, updatedAt)
      keptWriter.makeRoom(ownerId, excess + size - current.size + keptBytes, current.blobId)
      return db.update(files).set({ size, type, sha256, blobId, updatedAt, storedAt: updatedAt }).where(eq(files.id, id)).returning().get()
    },

    remove (ownerId, name, { precondition, isPermanent, now }) {
      // Deletes first, to need one statement. If it throws, the transaction undoes that.
      const file = removal.get({ ownerId, name })
      if (file === undefined) throw new Problem('not_found')
      if (!permits(precondition, file)) throw new Problem('precondition_failed')
      charging.run({ ownerId, bytes: -file.size, files: -1 })
      keptWriter.deleted(file, later(file, now), isPermanent)
    },

    restoreVersion (current, version, { quota, now }) {
      const { id: blobId, size, type, sha256, storedAt } = version
      const updatedAt = later(current, now)
      occupy(current.ownerId, { bytes: size - current.size, files: 0 }, { quota })
      keptWriter.take(version)
      keptWriter.replaced(current, version, updatedAt)
      return db.update(files).set({ size, type, sha256, blobId, updatedAt, storedAt }).where(eq(files.id, current.id)).returning().get()
    },

    restoreFile (entry, { name, quota, now }) {
      const { id: blobId, fileId, ownerId, size, type, sha256, storedAt, createdAt, keptAt } = entry
      occupy(ownerId, { bytes: size, files: 1 }, { quota })
      keptWriter.take(entry)
      return db.insert(files).values({ id: fileId, ownerId, name, size, type, sha256, blobId, createdAt: createdAt as number, updatedAt: Math.max(keptAt, now), storedAt }).returning().get()
    },

    reserve,

    makeRoomForUploads (ownerId, quota) {
      keptWriter.makeRoom(ownerId, reserve(ownerId, { bytes: 0, files: 0 }, { quota }))
    },

    reservedBy
  }
}

/** If the clock was set back, a changed file must not look older than before. */
export function later (current: FileRecord, now: number): number {
  return Math.max(current.updatedAt, now)
}
