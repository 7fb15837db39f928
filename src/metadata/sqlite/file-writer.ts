import { and, eq, gt, isNull, ne, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import { refuseBeyondQuota, type FileRecord, type NewFile, type Quota } from '../records.ts'
import type { UploadUsage } from '../uploads.ts'
import { createLeaseEnder } from './blobs.ts'
import { accounts, discardedBlobs, files, uploads } from './schema.ts'

/** What changes files inside the current transaction, with the usage of their owner and the blobs that are no longer used. */
export interface FileWriter {
  find (ownerId: number, name: string): FileRecord | undefined
  /** `uploadId`: the upload that becomes the file, and whose reservation it takes. @throws quota_exceeded, not_found. */
  create (file: NewFile, quota: Quota, uploadId?: string): FileRecord
  replace (current: FileRecord, file: NewFile, quota: Quota, uploadId?: string): FileRecord
  remove (file: FileRecord): void
  discard (blobId: string): void
  /** What counts towards a quota of the owner, without the upload `except`. @throws not_found if the owner was deleted. */
  usageOf (ownerId: number, quota: Quota, except?: string): { bytes: number, files: number }
  reservedBy (ownerId: number, now: number, except?: string): UploadUsage
}

export function createFileWriter (db: BetterSQLite3Database): FileWriter {
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
    updatedAt: placeholder('now')
  }).returning().prepare()
  const discarding = db.insert(discardedBlobs).values({ blobId: placeholder('blobId'), discardedAt: placeholder('now') }).prepare()
  const removal = db.delete(files).where(eq(files.id, placeholder('id'))).prepare()
  const recorded = db.select({ bytes: accounts.usedBytes, files: accounts.usedFiles }).from(accounts)
    .where(and(eq(accounts.id, placeholder('ownerId')), isNull(accounts.removedAt))).prepare()
  const reserved = db.select({
    uploads: sql<number>`count(*)`,
    bytes: sql<number>`coalesce(sum(coalesce(${uploads.length}, ${uploads.offset})), 0)`
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

  function usageOf (ownerId: number, quota: Quota, except?: string): { bytes: number, files: number } {
    const used = recorded.get({ ownerId })
    // The account was deleted during the upload.
    if (used === undefined) throw new Problem('not_found')
    if (quota.bytes === undefined && quota.files === undefined) return used
    const { bytes, uploads } = reservedBy(ownerId, Date.now(), except)
    return { bytes: used.bytes + bytes, files: used.files + uploads }
  }

  function occupy (ownerId: number, change: { bytes: number, files: number }, { quota, uploadId }: { quota: Quota, uploadId: string | undefined }): void {
    const used = usageOf(ownerId, quota, uploadId)
    refuseBeyondQuota('bytes', { used: used.bytes, added: change.bytes, limit: quota.bytes })
    refuseBeyondQuota('files', { used: used.files, added: change.files, limit: quota.files })
    charging.run({ ownerId, ...change })
  }

  function discard (blobId: string): void {
    discarding.run({ blobId, now: Date.now() })
  }

  return {
    find: (ownerId, name) => byName.get({ ownerId, name }),

    create (file, quota, uploadId) {
      if (file.isLeased) endLease(file.blobId)
      occupy(file.ownerId, { bytes: file.size, files: 1 }, { quota, uploadId })
      return insert.get({ now: Date.now(), ...file })
    },

    replace (current, { size, type, sha256, blobId, isLeased, now = Date.now() }, quota, uploadId) {
      if (isLeased) endLease(blobId)
      occupy(current.ownerId, { bytes: size - current.size, files: 0 }, { quota, uploadId })
      discard(current.blobId)
      return db.update(files).set({ size, type, sha256, blobId, updatedAt: later(current, now) }).where(eq(files.id, current.id)).returning().get()
    },

    remove ({ id, ownerId, size, blobId }) {
      discard(blobId)
      charging.run({ ownerId, bytes: -size, files: -1 })
      removal.run({ id })
    },

    discard,
    usageOf,
    reservedBy
  }
}

/** If the clock was set back, a changed file must not look older than before. */
export function later (current: FileRecord, now: number): number {
  return Math.max(current.updatedAt, now)
}
