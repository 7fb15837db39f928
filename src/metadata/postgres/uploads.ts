import { and, count, desc, eq, gt, inArray, isNull, lt, lte, type SQL, sql } from 'drizzle-orm'
import { Problem } from '../../problems.ts'
import type { Keeping } from '../kept.ts'
import { permits, isUnconditional } from '../preconditions.ts'
import { type Quota, refuseBeyondQuota } from '../records.ts'
import { refuseMoreUploads, type UploadRecord, type UploadRepository, type UploadUsage } from '../uploads.ts'
import { clock, prepared, type Connections, type Db } from './connections.ts'
import { untilJudged } from './files.ts'
import { callOf, rowColumns } from './results.ts'
import { discardedBlobs, files, uploads } from './schema.ts'

type Row = typeof uploads.$inferSelect

/** By default that of the database. */
type Now = number | undefined

type Outcome = 'added' | 'saved' | 'finished' | 'changed' | 'unknown' | 'not_found' | 'upload_taken_over' | 'too_many_uploads' | 'quota_bytes' | 'quota_files'

/** `used` and `added` are numbers if they exceed a quota. */
interface Result { readonly outcome: Outcome, readonly used: number, readonly added: number }

const result = { outcome: sql<Outcome>`outcome`, used: sql`used`.mapWith(Number), added: sql`added`.mapWith(Number) }

const add = prepared(db => db.select({ ...result, upload: rowColumns(uploads, 'upload') }).from(callOf('add_upload', [
  'id', 'ownerId', 'name', 'type', 'blobId', 'length', 'method', 'precondition', 'uploadMetadata', 'reprDigest', 'now', 'lifetimeMilliseconds',
  'maxUploads', 'maxBytes', 'maxFiles', 'isRepeated'
])).prepare('add_upload'))

const save = prepared(db => db.select(result).from(callOf('save_upload', [
  'id', 'generation', 'offset', 'state', 'length', 'lifetimeMilliseconds', 'now', 'isAppending', 'maxBytes'
])).prepare('save_upload'))

const finish = prepared(db => db.select({ ...result, stored: sql`result`.mapWith(uploads.result) }).from(callOf('finish_upload', [
  'id', 'generation', 'offset', 'state', 'lifetimeMilliseconds', 'now', 'sha256', 'maxBytes', 'maxFiles', 'judged', 'isPermitted', 'isRepeated',
  'keepMilliseconds', 'keepVersions'
])).prepare('finish_upload'))

const isLive = (now: Now) => gt(uploads.expiresAt, now ?? clock)
const isUnfinished = isNull(uploads.result)

export function createUploadRepository ({ read, write, executeIdempotent }: Connections, keeping: Keeping): UploadRepository {
  const kept = { keepMilliseconds: keeping.milliseconds, keepVersions: keeping.versions }
  const isUpload = (ownerId: number, id: string, now: Now) => and(eq(uploads.id, id), eq(uploads.ownerId, ownerId), isLive(now))

  async function find (ownerId: number, id: string, now?: number): Promise<UploadRecord | undefined> {
    const [row] = await read(db => db.select().from(uploads).where(isUpload(ownerId, id, now)))
    return row && recordOf(row)
  }

  /** What the precondition of an upload says about the file with its name, and which file that is: the id of its blob, or `none`. */
  async function judge (id: string): Promise<{ judged: string | null, isPermitted: boolean }> {
    const [row] = await read(db => db.select({ precondition: uploads.precondition, file: files }).from(uploads)
      .leftJoin(files, and(eq(files.ownerId, uploads.ownerId), eq(files.name, uploads.name))).where(eq(uploads.id, id)))
    if (row === undefined) throw new Problem('not_found')
    const { precondition, file } = row
    if (isUnconditional(precondition)) return { judged: null, isPermitted: true }
    return { judged: file?.blobId ?? 'none', isPermitted: permits(precondition, file ?? undefined) }
  }

  return {
    addUpload: (upload, { maxUploads, quota }) => executeIdempotent(async (db, isRepeated) => {
      const precondition = JSON.stringify(upload.precondition)
      const [row] = await add(db).execute({ now: null, ...upload, precondition, maxUploads, ...limitsOf(quota), isRepeated })
      const { upload: added, ...result } = row as NonNullable<typeof row>
      if (result.outcome === 'too_many_uploads') refuseMoreUploads(maxUploads)
      refuse(result, quota)
      return recordOf(added)
    }),

    findUpload: find,

    listUploads: (ownerId, { now, name, before, limit }) => read(async db => (await db.select().from(uploads).where(and(
      eq(uploads.ownerId, ownerId),
      isUnfinished,
      isLive(now),
      name === undefined ? undefined : eq(uploads.name, name),
      before === undefined ? undefined : lt(uploads.sequence, before)
    )).orderBy(desc(uploads.sequence)).limit(limit)).map(recordOf)),

    // If the answer is lost, it is taken over once more.
    async takeOverUpload (ownerId, id, { isAppending, now, lifetimeMilliseconds, precondition }) {
      const expiresAt = now === undefined ? sql`${clock} + ${lifetimeMilliseconds}` : now + lifetimeMilliseconds
      const changes = { generation: sql`${uploads.generation} + 1`, isAppending, ...(isAppending && { expiresAt }), ...(precondition && { precondition }) }
      const [row] = await executeIdempotent(db => db.update(uploads).set(changes).where(and(isUpload(ownerId, id, now), isUnfinished)).returning())
      const upload = row === undefined ? await find(ownerId, id, now) : recordOf(row)
      if (upload === undefined) throw new Problem('not_found')
      return upload
    },

    async saveUpload (change, { isAppending, quota }) {
      const [row] = await executeIdempotent(db => save(db).execute({ now: null, ...change, isAppending, ...limitsOf(quota) }))
      refuse(row as NonNullable<typeof row>, quota)
    },

    async finishUpload (change, { sha256, quota }) {
      const { stored } = await untilJudged(async () => {
        const judgement = await judge(change.id)
        return executeIdempotent(async (db, isRepeated) => {
          const [row] = await finish(db).execute({ now: null, ...change, sha256, ...limitsOf(quota), ...judgement, isRepeated, ...kept })
          refuse(row as NonNullable<typeof row>, quota)
          return row?.outcome === 'changed' ? undefined : row
        })
      })
      return stored ?? undefined
    },

    removeUpload: (ownerId, id, now) => write(async db => {
      if (await deleteUploads(db, isUpload(ownerId, id, now)) === 0) throw new Problem('not_found')
    }),

    uploadUsage: (ownerId, now) => read(db => sumUploads(db, ownerId, now)),

    async removeExpiredUploads (limit, now) {
      const expired = (db: Db) => db.select({ id: uploads.id }).from(uploads).where(lte(uploads.expiresAt, now ?? clock)).limit(limit)
      // Usually there is none, and a write costs a sync.
      if ((await read(expired)).length === 0) return false
      // Those that another process is deleting are left to it.
      return write(async db => await deleteUploads(db, inArray(uploads.id, expired(db).for('update', { skipLocked: true }))) === limit)
    }
  }
}

export async function sumUploads (db: Db, ownerId: number, now?: number): Promise<UploadUsage> {
  const bytes = sql`coalesce(sum(coalesce(${uploads.length}, ${uploads.offset})), 0)`.mapWith(Number)
  const receivedBytes = sql`coalesce(sum(${uploads.offset}), 0)`.mapWith(Number)
  const [row] = await db.select({ uploads: count(), bytes, receivedBytes }).from(uploads).where(and(eq(uploads.ownerId, ownerId), isUnfinished, isLive(now)))
  return row as NonNullable<typeof row>
}

/** Deletes uploads, inside a transaction, and discards the blobs of those that are unfinished. Returns their number. */
export async function deleteUploads (db: Db, condition: SQL | undefined): Promise<number> {
  const deleted = await db.delete(uploads).where(condition).returning({ blobId: uploads.blobId, result: uploads.result })
  const discarded = deleted.filter(({ result }) => result === null).map(({ blobId }) => ({ blobId, discardedAt: clock }))
  if (discarded.length > 0) await db.insert(discardedBlobs).values(discarded)
  return deleted.length
}

function recordOf ({ result, ...row }: Row): UploadRecord {
  return { ...row, result: result ?? undefined }
}

function limitsOf (quota: Quota): { maxBytes: number | undefined, maxFiles: number | undefined } {
  return { maxBytes: quota.bytes, maxFiles: quota.files }
}

/** @throws the failure that an outcome is. */
function refuse ({ outcome, used, added }: Result, quota: Quota): void {
  if (outcome === 'not_found' || outcome === 'upload_taken_over') throw new Problem(outcome)
  if (outcome === 'quota_bytes') refuseBeyondQuota('bytes', { used, added, limit: quota.bytes })
  if (outcome === 'quota_files') refuseBeyondQuota('files', { used, added, limit: quota.files })
  // An earlier try may have succeeded before another request ended the upload: the outcome stays unknown.
  if (outcome === 'unknown') throw new Problem('unavailable', { detail: 'The upload has ended.', headers: { 'retry-after': '1' } })
}
