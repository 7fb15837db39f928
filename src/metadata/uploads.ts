import { and, desc, eq, gt, isNull, lt } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { refuseBeyondRoom } from './link-records.ts'
import { createOwnUploads } from './own-uploads.ts'
import { bytesToEvict, refuseBeyondQuota, usedBy } from './owners.ts'
import { isUnconditional, type Precondition } from './preconditions.ts'
import type { Quota } from './records.ts'
import { existing, matching, pipeline, placeholders, prepared, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'
import type { Tables } from './schema.ts'
import {
  MAX_FINISHED, type NewUpload, type StoreResult, type TakeOver, type UploadChange, type UploadPage, type UploadRecord,
  type UploadUsage
} from './upload-records.ts'
import { createUploadRemovals } from './upload-removals.ts'

type UploadRow = Tables['uploads']['$inferSelect']

/** Whose upload it is: the owner's own, or one by a link. */
type UploadOwner = Pick<UploadRecord, 'ownerId' | 'linkId'>

/**
 * Unfinished uploads: a part of the contract of {@link Metadata}. The bytes of an unfinished upload belong to it, and
 * become discarded when it ends without a file. It counts towards its owner's quotas: as one file, and with its
 * reserved bytes; one by a link only with the bytes that have arrived.
 *
 * An expired upload is not found, and counts nowhere. A finished one is found until it expires or is forgotten, but
 * neither listed nor counted, and its bytes belong to the file. Only the fields for replies are kept, so not its
 * `state`, `precondition` and `reprDigest`.
 */
export type UploadRepository = ReturnType<typeof createUploads>

export function createUploads (services: Services) {
  const { engine, owners, retention, linkUploads, read, write } = services
  const queries = queriesOf(engine)
  const removals = createUploadRemovals(services)
  const ownUploads = createOwnUploads(services, removals)

  const findBy = (statement: typeof queries.byId, { ownerId, linkId }: UploadOwner, id: string) =>
    statement({ id }, ([row]) => row?.ownerId === ownerId && row.linkId === linkId ? recordOf(row) : undefined)

  /** The upload, locked with its owner, and the time. */
  function * lock (holder: UploadOwner, id: string) {
    const [, upload, time] = yield * pipeline(
      owners.lock(holder.ownerId), findBy(queries.lockById, holder, id), engine.now()
    )
    if (upload === undefined) throw new Problem('not_found')
    return { upload, time }
  }

  const update = (upload: UploadRecord, changes: Partial<UploadRow>) =>
    queries.update({ ...upload, result: upload.result ?? null, ...changes }, rows => recordOf(existing(rows)))

  return {
    /**
     * Adds an upload, with offset 0 and generation 1. A PUT first cancels the owner's other PUT uploads of this name.
     * @throws too_many_uploads if the owner has `maxUploads` unfinished ones, or the link {@link MAX_LINK_UPLOADS};
     * name_taken if no file can have this name, precondition_failed if the folder is another one than that of the
     * precondition, file_locked, quota_exceeded, link_limit_reached, not_found if the owner
     * was deleted or the link has ended.
     */
    add: (
      { lifetimeMilliseconds, ...upload }: NewUpload, limits: { maxUploads: number, quota: Quota }
    ) => engine.transactFor(upload.ownerId, function * () {
      const { ownerId, linkId, length } = upload
      const [owner, createdAt] = yield * pipeline(owners.lock(ownerId), engine.now())
      if (linkId === null) yield * ownUploads.admit(upload, { ...limits, owner, time: createdAt })
      else yield * linkUploads.admit(yield * linkUploads.open({ ownerId, linkId, ...limits }), length ?? 0)
      const values = { ...upload, createdAt, expiresAt: createdAt + lifetimeMilliseconds }
      return yield * queries.insert(values, ([added]) => recordOf(added as UploadRow))
    }),

    /** The upload; one by a link only with the id of that. */
    find: read((ownerId: number, id: string, linkId: number | null = null) =>
      findBy(queries.byId, { ownerId, linkId }, id)),

    /** Unfinished uploads, newest first, but not those by links. */
    list: read((ownerId: number, { name, method, before, limit }: UploadPage) => {
      const { tables: { uploads }, clock } = engine
      const { id, type, length, offset, createdAt, expiresAt, sequence } = uploads
      const columns = { id, name: uploads.name, type, length, offset, createdAt, expiresAt, sequence }
      return query(db => db.select(columns).from(uploads).where(and(
        eq(uploads.ownerId, ownerId),
        isNull(uploads.linkId),
        isNull(uploads.result),
        gt(expiresAt, clock),
        name === undefined ? undefined : eq(uploads.name, name),
        method === undefined ? undefined : eq(uploads.method, method),
        before === undefined ? undefined : lt(sequence, before)
      )).orderBy(desc(sequence)).limit(limit))
    }),

    /**
     * Takes an upload over: raises its generation, and sets `isAppending`. `isAppending` restarts its expiry, and
     * `modifiedAt` and what `precondition` has, if given, replace its own. A finished upload is returned unchanged.
     * @throws not_found.
     */
    takeOver: write(function * (
      ownerId, id: string, { linkId = null, isAppending, lifetimeMilliseconds, precondition, modifiedAt }: TakeOver
    ) {
      const { upload, time } = yield * lock({ ownerId, linkId }, id)
      if (upload.result !== undefined) return upload
      return yield * update(upload, {
        generation: upload.generation + 1,
        isAppending,
        expiresAt: isAppending ? time + lifetimeMilliseconds : upload.expiresAt,
        precondition: replaced(upload.precondition, precondition),
        modifiedAt: modifiedAt ?? upload.modifiedAt
      })
    }),

    /**
     * Records progress. `isAppending` says whether the request goes on.
     * @throws upload_taken_over if the upload has another generation or is finished; not_found; quota_exceeded or
     * link_limit_reached, and then nothing changes.
     */
    save: (
      change: UploadChange, { isAppending, quota }: { isAppending: boolean, quota: Quota }
    ) => retention.transactEvicting(change.ownerId, function * () {
      const { id, ownerId, offset, state, length, lifetimeMilliseconds } = change
      const [owner, found, reserved] = yield * pipeline(
        owners.lock(ownerId), queries.lockById({ id }), owners.reserved(ownerId)
      )
      const upload = getCurrent(found, change.generation)
      const { time } = reserved
      const bytes = reservation(change) - reservation(upload)
      const { linkId } = upload
      if (linkId === null) refuseBeyondQuota(quota, usedBy(owner, reserved), { bytes, files: 0 })
      else {
        // All of it: kept content may have taken the room since, and does not go for what arrives by a link.
        const { room } = yield * linkUploads.open({ ownerId, linkId, quota, except: id })
        refuseBeyondRoom(room, { bytes: reservation(change), files: 1 }, { bytes: offset, files: 1 })
      }
      yield * update(upload, { offset, state, length, expiresAt: time + lifetimeMilliseconds, isAppending })
      if (linkId !== null) return
      const arrivedBytes = offset - upload.offset
      yield * retention.evict(ownerId, { bytes: bytesToEvict(quota, { owner, reserved, arrivedBytes }), time })
    }),

    /**
     * Makes a file of an upload whose bytes are all there, and records its progress, in one transaction. The name and
     * its precondition are evaluated as by `files.add` and `files.put`. On refusal: sets `isRefused`, returns
     * undefined. A replaced blob, or that of the upload if the file is there already, becomes discarded. If the owner
     * then has more than `maxFinished` finished uploads ({@link MAX_FINISHED}), up to {@link MAX_FORGOTTEN} of the
     * first that were finished are forgotten.
     * One by a link gets the next free name in the folder of that, as by `links.store`.
     * @throws name_taken if no file can have this name, file_locked, and as `uploads.save`.
     */
    finish: (
      change: UploadChange,
      { sha256, quota, maxFinished = MAX_FINISHED }: { sha256: string, quota: Quota, maxFinished?: number }
    ) => retention.transactEvicting(change.ownerId, function * (): Rule<StoreResult | undefined> {
      const { id, ownerId, name, offset, state, lifetimeMilliseconds } = change
      const [owner, found, reserved] = yield * pipeline(
        owners.lock(ownerId), queries.lockById({ id }), owners.reserved(ownerId, id)
      )
      const upload = getCurrent(found, change.generation)
      const { time } = reserved
      const { type, blobId, modifiedAt, linkId } = upload
      const file = { ownerId, name, type, blobId, modifiedAt, size: offset, sha256, isLeased: false }
      const result = linkId === null
        ? yield * ownUploads.store(upload, file, { owner, time, reserved, quota })
        : yield * linkUploads.store(yield * linkUploads.open({ ownerId, linkId, quota, except: id }), file)
      const progress = { offset, length: offset, expiresAt: time + lifetimeMilliseconds, isAppending: false }
      if (result === undefined) {
        yield * update(upload, { ...progress, state, isRefused: true })
        // The bytes of a refused upload stay with it.
        const reserved = yield * owners.reserved(ownerId)
        const bytes = bytesToEvict(quota, { owner, reserved, arrivedBytes: 0 })
        yield * retention.evict(ownerId, { bytes, time })
        return undefined
      }
      const finished = { state: null, precondition: {}, reprDigest: null, isRefused: false, result }
      yield * update(upload, { ...progress, ...finished })
      yield * removals.forgetFinished(upload, maxFinished)
      return result
    }),

    /** Ends an upload; a file that it became stays. @throws not_found. */
    remove: write(function * (ownerId, id: string, linkId: number | null = null) {
      yield * lock({ ownerId, linkId }, id)
      yield * removals.remove(eq(engine.tables.uploads.id, id))
    }),

    usage: read(function * (ownerId: number): Rule<UploadUsage> {
      const { uploads, bytes, receivedBytes } = yield * owners.reserved(ownerId)
      return { uploads, bytes, receivedBytes }
    }),

    /** Deletes up to `limit` uploads that have expired, or whose link has ended; true if there may be more. */
    removeExpired: removals.removeExpired
  }
}

/** The upload, if no later request has taken it over. @throws upload_taken_over, not_found. */
function getCurrent ([row]: UploadRow[], generation: number): UploadRecord {
  if (row === undefined) throw new Problem('not_found')
  if (row.generation !== generation || row.result !== null) throw new Problem('upload_taken_over')
  return recordOf(row)
}

/** A precondition after a later request, which need not repeat the folder. */
function replaced (precondition: Precondition, given: Precondition = {}): Precondition {
  const headers = isUnconditional(given) ? precondition : given
  return { ...headers, folderId: given.folderId ?? precondition.folderId }
}

function reservation ({ length, offset }: { length: number | null, offset: number }): number {
  return length ?? offset
}

function recordOf ({ result, ...row }: UploadRow): UploadRecord {
  return { ...row, result: (result ?? undefined) as UploadRecord['result'] }
}

function queriesOf ({ tables: { uploads }, clock, locking }: Engine) {
  const isThis = and(matching(uploads, 'id'), gt(uploads.expiresAt, clock))
  return prepared('uploads', {
    byId: db => db.select().from(uploads).where(isThis),
    lockById: db => locking(db.select().from(uploads).where(isThis)),
    insert: db => db.insert(uploads).values(placeholders(
      'id', 'ownerId', 'linkId', 'name', 'type', 'blobId', 'length', 'method', 'precondition', 'uploadMetadata',
      'reprDigest', 'modifiedAt', 'createdAt', 'expiresAt'
    )).returning(),
    update: db => db.update(uploads).set(placeholders(
      'length', 'precondition', 'reprDigest', 'modifiedAt', 'expiresAt', 'offset', 'state', 'generation', 'isAppending',
      'isRefused', 'result'
    )).where(matching(uploads, 'id')).returning()
  })
}
