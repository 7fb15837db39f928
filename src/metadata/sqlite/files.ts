import { and, between, eq, gt, isNull, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import { permits } from '../preconditions.ts'
import { refuseBeyondQuota, type FileRecord, type NewFile, type Quota } from '../records.ts'
import { createLeaseEnder } from './blobs.ts'
import type { Committer } from './committer.ts'
import { isUniqueViolation } from './failures.ts'
import { afterPosition, ordering } from './paging.ts'
import { accounts, discardedBlobs, files } from './schema.ts'

type FileRepository = Pick<Metadata,
  'addFile' | 'putFile' | 'findFile' | 'hasFileOfSize' | 'listFiles' | 'renameFile' | 'correctFileDate' | 'removeFile'
>

export function createFileRepository (db: BetterSQLite3Database, { commit, read }: Committer): FileRepository {
  const endLease = createLeaseEnder(db)
  const byName = db.select().from(files).where(and(eq(files.ownerId, sql.placeholder('ownerId')), eq(files.name, sql.placeholder('name')))).prepare()
  const find = (ownerId: number, name: string): FileRecord | undefined => byName.get({ ownerId, name })

  const ofSize = db.select({ id: files.id }).from(files).where(and(
    eq(files.ownerId, sql.placeholder('ownerId')), between(files.size, sql.placeholder('minBytes'), sql.placeholder('maxBytes'))
  )).limit(1).prepare()
  const insert = db.insert(files).values({
    ownerId: sql.placeholder('ownerId'),
    name: sql.placeholder('name'),
    size: sql.placeholder('size'),
    type: sql.placeholder('type'),
    sha256: sql.placeholder('sha256'),
    blobId: sql.placeholder('blobId'),
    createdAt: sql.placeholder('now'),
    updatedAt: sql.placeholder('now')
  }).returning().prepare()
  const discard = db.insert(discardedBlobs).values({ blobId: sql.placeholder('blobId'), discardedAt: sql.placeholder('now') }).prepare()
  const remove = db.delete(files).where(eq(files.id, sql.placeholder('id'))).prepare()
  const usage = db.select({ bytes: accounts.usedBytes, files: accounts.usedFiles }).from(accounts).where(and(eq(accounts.id, sql.placeholder('ownerId')), isNull(accounts.removedAt))).prepare()
  const charge = db.update(accounts).set({
    usedBytes: sql`${accounts.usedBytes} + ${sql.placeholder('bytes')}`,
    usedFiles: sql`${accounts.usedFiles} + ${sql.placeholder('files')}`
  }).where(eq(accounts.id, sql.placeholder('ownerId'))).prepare()

  function occupy (ownerId: number, change: { bytes: number, files: number }, quota: Quota): void {
    const used = usage.get({ ownerId })
    // The account was deleted during the upload.
    if (used === undefined) throw new Problem('not_found')
    refuseBeyondQuota('bytes', { used: used.bytes, added: change.bytes, limit: quota.bytes })
    refuseBeyondQuota('files', { used: used.files, added: change.files, limit: quota.files })
    charge.run({ ownerId, ...change })
  }

  function create (file: NewFile, quota: Quota): FileRecord {
    if (file.isLeased) endLease(file.blobId)
    occupy(file.ownerId, { bytes: file.size, files: 1 }, quota)
    return insert.get({ now: Date.now(), ...file })
  }

  function replace (current: FileRecord, { size, type, sha256, blobId, isLeased, now = Date.now() }: NewFile, quota: Quota): FileRecord {
    if (isLeased) endLease(blobId)
    occupy(current.ownerId, { bytes: size - current.size, files: 0 }, quota)
    discard.run({ blobId: current.blobId, now: Date.now() })
    return db.update(files).set({ size, type, sha256, blobId, updatedAt: later(current, now) }).where(eq(files.id, current.id)).returning().get()
  }

  return {
    addFile: (file, quota) => commit(() => {
      const current = find(file.ownerId, file.name)
      if (current === undefined) return { file: create(file, quota), isNew: true }
      if (current.sha256 !== file.sha256 || current.size !== file.size) throw new Problem('name_taken')
      return { file: current, isNew: false }
    }),

    putFile: (file, quota, precondition) => commit(() => {
      const current = find(file.ownerId, file.name)
      if (!permits(precondition, current)) throw new Problem('precondition_failed')
      return current === undefined
        ? { file: create(file, quota), isNew: true }
        : { file: replace(current, file, quota), isNew: false }
    }),

    findFile: (ownerId, name) => read(() => find(ownerId, name)),

    hasFileOfSize: (ownerId, sizes) => read(() => ofSize.get({ ownerId, ...sizes }) !== undefined),

    listFiles: (ownerId, page) => read(() => db.select().from(files)
      .where(and(eq(files.ownerId, ownerId), afterPosition(page)))
      .orderBy(...ordering(page.order)).limit(page.limit).all()),

    renameFile: (ownerId, name, newName, now = Date.now()) => commit(() => {
      const current = find(ownerId, name)
      if (current === undefined) throw new Problem('not_found')
      if (newName === name) return current
      try {
        return db.update(files).set({ name: newName, updatedAt: later(current, now) }).where(eq(files.id, current.id)).returning().get()
      } catch (error) {
        if (isUniqueViolation(error)) throw new Problem('name_taken', { cause: error })
        throw error
      }
    }),

    correctFileDate: (ownerId, name, now = Date.now()) => commit(() => {
      db.update(files).set({ updatedAt: now }).where(and(eq(files.ownerId, ownerId), eq(files.name, name), gt(files.updatedAt, now))).run()
    }),

    removeFile: (ownerId, name, precondition) => commit(() => {
      const current = find(ownerId, name)
      if (current === undefined) throw new Problem('not_found')
      if (!permits(precondition, current)) throw new Problem('precondition_failed')
      discard.run({ blobId: current.blobId, now: Date.now() })
      charge.run({ ownerId, bytes: -current.size, files: -1 })
      remove.run({ id: current.id })
    })
  }
}

/** If the clock was set back, a changed file must not look older than before. */
function later (current: FileRecord, now: number): number {
  return Math.max(current.updatedAt, now)
}
