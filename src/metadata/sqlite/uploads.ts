import { and, desc, eq, gt, inArray, isNull, lt, lte, type SQL, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import { isUnconditional, permits } from '../preconditions.ts'
import type { NewFile, Quota } from '../records.ts'
import { refuseMoreUploads, type StoredUpload, type UploadChange, type UploadRecord, type UploadRepository } from '../uploads.ts'
import type { Committer } from './committer.ts'
import type { FileWriter } from './file-writer.ts'
import type { KeptWriter } from './kept-writer.ts'
import { uploads } from './schema.ts'

type Row = typeof uploads.$inferSelect

interface UploadWriters { readonly writer: FileWriter, readonly keptWriter: Pick<KeptWriter, 'discard'> }

export function createUploadRepository (db: BetterSQLite3Database, { commit, read }: Committer, { writer, keptWriter }: UploadWriters): UploadRepository {
  const isUnfinished = isNull(uploads.result)
  const live = db.select().from(uploads).where(and(eq(uploads.id, sql.placeholder('id')), gt(uploads.expiresAt, sql.placeholder('now')))).prepare()

  function find (ownerId: number, id: string, now = Date.now()): UploadRecord | undefined {
    const row = live.get({ id, now })
    return row?.ownerId === ownerId ? recordOf(row) : undefined
  }

  function get (ownerId: number, id: string, now?: number): UploadRecord {
    const upload = find(ownerId, id, now)
    if (upload === undefined) throw new Problem('not_found')
    return upload
  }

  /** The upload, which the request must not have lost to a later one. */
  function getTaken ({ id, generation, now = Date.now() }: UploadChange): UploadRecord {
    const row = live.get({ id, now })
    if (row === undefined) throw new Problem('not_found')
    if (row.generation !== generation || row.result !== null) throw new Problem('upload_taken_over')
    return recordOf(row)
  }

  function update (id: string, changes: Partial<Row>): UploadRecord {
    return recordOf(db.update(uploads).set(changes).where(eq(uploads.id, id)).returning().get())
  }

  function remove (condition: SQL | undefined): void {
    for (const { blobId, result } of db.delete(uploads).where(condition).returning().all()) if (result === null) keptWriter.discard(blobId)
  }

  /** The file that the upload becomes; undefined if its precondition, or a file of that name, refuses it. */
  function store (upload: UploadRecord, file: NewFile, quota: Quota): StoredUpload | undefined {
    const current = writer.find(file.ownerId, file.name)
    if (upload.method === 'POST' && isUnconditional(upload.precondition) && current !== undefined) {
      if (current.sha256 !== file.sha256 || current.size !== file.size) return undefined
      keptWriter.discard(file.blobId)
      return { file: current, isNew: false }
    }
    if (!permits(upload.precondition, current)) return undefined
    return current === undefined
      ? { file: writer.create(file, { quota, uploadId: upload.id }), isNew: true }
      : { file: writer.replace(current, file, { quota, uploadId: upload.id }), isNew: false }
  }

  return {
    addUpload: ({ lifetimeMilliseconds, now = Date.now(), ...upload }, { maxUploads, quota }) => commit(() => {
      const { ownerId, name, length, method } = upload
      if (method === 'PUT') remove(and(eq(uploads.ownerId, ownerId), isUnfinished, eq(uploads.method, 'PUT'), eq(uploads.name, name)))
      writer.reserve(ownerId, { bytes: length ?? 0, files: 1 }, { quota })
      if (writer.reservedBy(ownerId, now).uploads >= maxUploads) refuseMoreUploads(maxUploads)
      return recordOf(db.insert(uploads).values({ ...upload, createdAt: now, expiresAt: now + lifetimeMilliseconds }).returning().get())
    }),

    findUpload: (ownerId, id, now) => read(() => find(ownerId, id, now)),

    listUploads: (ownerId, { now = Date.now(), name, before, limit }) => read(() => db.select().from(uploads).where(and(
      eq(uploads.ownerId, ownerId),
      isUnfinished,
      gt(uploads.expiresAt, now),
      name === undefined ? undefined : eq(uploads.name, name),
      before === undefined ? undefined : lt(uploads.sequence, before)
    )).orderBy(desc(uploads.sequence)).limit(limit).all().map(recordOf)),

    takeOverUpload: (ownerId, id, { isAppending, now = Date.now(), lifetimeMilliseconds, precondition }) => commit(() => {
      const upload = get(ownerId, id, now)
      if (upload.result !== undefined) return upload
      return update(id, { generation: upload.generation + 1, isAppending, ...(isAppending && { expiresAt: now + lifetimeMilliseconds }), ...(precondition && { precondition }) })
    }),

    saveUpload: (change, { isAppending, quota }) => commit(() => {
      const upload = getTaken(change)
      const { offset, state, length } = change
      writer.reserve(upload.ownerId, { bytes: reservation(change) - reservation(upload), files: 0 }, { quota })
      update(upload.id, { offset, state, length, expiresAt: expiryOf(change), isAppending })
      writer.makeRoomForUploads(upload.ownerId, quota)
    }),

    finishUpload: (change, { sha256, quota }) => commit(() => {
      const upload = getTaken(change)
      const { offset, state, now } = change
      const { ownerId, name, type, blobId } = upload
      const result = store(upload, { ownerId, name, type, blobId, size: offset, sha256, isLeased: false, ...(now !== undefined && { now }) }, quota)
      update(upload.id, { offset, state, length: offset, expiresAt: expiryOf(change), isAppending: false, isRefused: result === undefined, result: result ?? null })
      // The bytes of a refused upload stay with it.
      if (result === undefined) writer.makeRoomForUploads(ownerId, quota)
      return result
    }),

    removeUpload: (ownerId, id, now) => commit(() => {
      get(ownerId, id, now)
      remove(eq(uploads.id, id))
    }),

    uploadUsage: (ownerId, now = Date.now()) => read(() => writer.reservedBy(ownerId, now)),

    async removeExpiredUploads (limit, now = Date.now()) {
      const expired = db.select({ id: uploads.id }).from(uploads).where(lte(uploads.expiresAt, now)).limit(limit)
      // Usually there is none, and a transaction would cost a sync.
      const ids = (await read(() => expired.all())).map(row => row.id)
      if (ids.length === 0) return false
      await commit(() => remove(and(inArray(uploads.id, ids), lte(uploads.expiresAt, now))))
      return ids.length === limit
    }
  }
}

function expiryOf ({ lifetimeMilliseconds, now = Date.now() }: UploadChange): number {
  return now + lifetimeMilliseconds
}

function reservation ({ length, offset }: { length: number | null, offset: number }): number {
  return length ?? offset
}

function recordOf ({ result, ...row }: Row): UploadRecord {
  return { ...row, result: result ?? undefined }
}
