import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, lt, lte, type SQL, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Discard } from './blobs.ts'
import type { Engine } from './engine.ts'
import type { Beginning, FileContents } from './file-contents.ts'
import type { KeptContents } from './kept-contents.ts'
import { refuseBeyond, type Owners } from './owners.ts'
import { limitedTo } from './paging.ts'
import { isUnconditional, permits } from './preconditions.ts'
import type { NewFile } from './records.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'
import { MAX_FINISHED, MAX_FORGOTTEN, refuseMoreUploads, type StoredUpload, type UploadRecord, type UploadRepository } from './uploads-repository.ts'

const { placeholder } = sql

type Row = Tables['uploads']['$inferSelect']
type Changes = Partial<Row>

interface UploadOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly contents: FileContents
  readonly keptContents: KeptContents
  readonly discard: Discard
}

export function createUploadRepository ({ engine, owners, contents, keptContents, discard }: UploadOptions): UploadRepository {
  const { tables: { files, uploads, discardedBlobs }, clock, now, read, transact, transactFor, locking, skippingLocked } = engine
  const isUnfinished = isNull(uploads.result)
  const isLive = gt(uploads.expiresAt, clock)
  const byId = reading('upload_by_id', db => db.select().from(uploads).where(and(eq(uploads.id, placeholder('id')), isLive)))
  const lockById = reading('lock_upload', db => locking(db.select().from(uploads).where(and(eq(uploads.id, placeholder('id')), isLive))))
  const itsFile = reading('file_of_upload', db => db.select().from(files).where(and(
    eq(files.ownerId, placeholder('ownerId')),
    eq(files.name, sql`(SELECT u.name FROM uploads u WHERE u.id = ${placeholder('id')})`)
  )))
  const itsDiscard = reading('discard_of_upload', db => db.select({ blobId: discardedBlobs.blobId }).from(discardedBlobs).where(eq(discardedBlobs.blobId, placeholder('blobId'))))
  /** The columns, as placeholders. */
  const values = <Names extends readonly (keyof Row)[]>(...names: Names) => Object.fromEntries(names.map(name => [name, placeholder(name)])) as Record<Names[number], never>
  const inserting = writing('add_upload', db => db.insert(uploads).values(values(
    'id', 'ownerId', 'name', 'type', 'blobId', 'length', 'method', 'precondition', 'uploadMetadata', 'reprDigest', 'createdAt', 'expiresAt'
  )).returning())
  const updating = writing('change_upload', db => db.update(uploads).set(values(
    'length', 'precondition', 'reprDigest', 'expiresAt', 'offset', 'state', 'generation', 'isAppending', 'isRefused', 'result'
  )).where(eq(uploads.id, placeholder('id'))).returning())
  const finished = and(eq(uploads.ownerId, placeholder('ownerId')), isNotNull(uploads.result))
  const firstFinished = reading('first_finished_uploads', db => db.select({ sequence: uploads.sequence }).from(uploads).where(finished)
    .orderBy(limitedTo(sql`${asc(uploads.expiresAt)}, ${asc(uploads.sequence)}`, placeholder('surplus'))))
  const surplusFinished = reading('surplus_finished_uploads', db => db.select({ sequence: uploads.sequence }).from(uploads).where(finished)
    .orderBy(limitedTo(sql`${desc(uploads.expiresAt)}, ${desc(uploads.sequence)}`, MAX_FORGOTTEN, placeholder('maxFinished'))))

  const listed = {
    id: uploads.id,
    name: uploads.name,
    type: uploads.type,
    length: uploads.length,
    offset: uploads.offset,
    createdAt: uploads.createdAt,
    expiresAt: uploads.expiresAt,
    sequence: uploads.sequence
  }

  const find = (ownerId: number, id: string, query = byId) => ask(query, { id }, ([row]) => row?.ownerId === ownerId ? recordOf(row) : undefined)

  /** The upload, which the request must not have lost to a later one. */
  function taken ([row]: Row[], generation: number, isRepeated = false): UploadRecord {
    // An earlier try may have made a file, and another request has ended the upload since: the outcome stays unknown.
    if (row === undefined && isRepeated) throw ended()
    if (row === undefined) throw new Problem('not_found')
    if (row.generation !== generation || (row.result !== null && !isRepeated)) throw new Problem('upload_taken_over')
    return recordOf(row)
  }

  /** What an earlier try has added whose answer was lost; undefined if it added nothing. */
  function * addedEarlier ({ id, blobId }: Pick<UploadRecord, 'id' | 'blobId'>): Rule<UploadRecord | undefined> {
    const [[row], [discarded]] = yield * together(ask(byId, { id }), ask(itsDiscard, { blobId }))
    // Another request has ended it since: its bytes are to be deleted, and must not become those of a new one. The outcome stays unknown.
    if (discarded !== undefined) throw ended()
    return row && recordOf(row)
  }

  const update = (upload: UploadRecord, changes: Changes) => ask(updating, { ...upload, result: upload.result ?? null, ...changes }, ([row]) => recordOf(row as Row))

  /** Deletes uploads. The blobs of those that are unfinished become discarded. Returns their number. */
  function * remove (condition: SQL | undefined): Rule<number> {
    const deleted = yield * ask(writing('', db => db.delete(uploads).where(condition).returning({ blobId: uploads.blobId, result: uploads.result })))
    yield * together(discard(deleted.filter(({ result }) => result === null).map(({ blobId }) => blobId), yield * now()))
    return deleted.length
  }

  /** Forgets the first finished uploads of an owner who has too many, a few at a time. */
  function * forgetFinished (ownerId: number, maxFinished: number): Rule<void> {
    const surplus = (yield * ask(surplusFinished, { ownerId, maxFinished })).length
    if (surplus === 0) return
    const first = (yield * ask(firstFinished, { ownerId, surplus })).map(({ sequence }) => sequence)
    yield * ask(writing('', db => db.delete(uploads).where(inArray(uploads.sequence, first))))
  }

  /** The file that the upload becomes; undefined if its precondition, or a file of that name, refuses it. */
  function * store (upload: UploadRecord, file: NewFile, beginning: Beginning): Rule<StoredUpload | undefined> {
    const { current, time } = beginning
    if (upload.method === 'POST' && isUnconditional(upload.precondition) && current !== undefined) {
      if (current.sha256 !== file.sha256 || current.size !== file.size) return undefined
      yield * together(discard([file.blobId], time))
      return { file: current, isNew: false }
    }
    if (!permits(upload.precondition, current)) return undefined
    return yield * contents.store(file, beginning)
  }

  return {
    add: ({ lifetimeMilliseconds, ...upload }, { maxUploads, quota }) => transactFor(upload.ownerId, function * (isRepeated) {
      const { ownerId, name, length, method } = upload
      const [owner, createdAt] = yield * together(owners.lock(ownerId), now())
      const earlier = isRepeated ? yield * addedEarlier(upload) : undefined
      if (earlier !== undefined) return earlier
      if (method === 'PUT') yield * remove(and(eq(uploads.ownerId, ownerId), isUnfinished, eq(uploads.method, 'PUT'), eq(uploads.name, name)))
      const reserved = yield * owners.reserved(ownerId)
      refuseBeyond(quota, { owner, reserved, added: { bytes: length ?? 0, files: 1 } })
      if (reserved.uploads >= maxUploads) refuseMoreUploads(maxUploads)
      return yield * ask(inserting, { ...upload, createdAt, expiresAt: createdAt + lifetimeMilliseconds }, ([added]) => recordOf(added as Row))
    }, { repeats: true }),

    find: (ownerId, id) => read(() => find(ownerId, id)),

    list: (ownerId, { name, method, before, limit }) => read(() => ask(reading('', db => db.select(listed).from(uploads).where(and(
      eq(uploads.ownerId, ownerId),
      isUnfinished,
      isLive,
      name === undefined ? undefined : eq(uploads.name, name),
      method === undefined ? undefined : eq(uploads.method, method),
      before === undefined ? undefined : lt(uploads.sequence, before)
    )).orderBy(desc(uploads.sequence)).limit(limit)))),

    // If the answer is lost, it is taken over once more.
    takeOver: (ownerId, id, { isAppending, lifetimeMilliseconds, precondition }) => transactFor(ownerId, function * () {
      const [, upload, time] = yield * together(owners.lock(ownerId), find(ownerId, id, lockById), now())
      if (upload === undefined) throw new Problem('not_found')
      if (upload.result !== undefined) return upload
      const expiresAt = isAppending ? time + lifetimeMilliseconds : upload.expiresAt
      return yield * update(upload, { generation: upload.generation + 1, isAppending, expiresAt, precondition: precondition ?? upload.precondition })
    }, { repeats: true }),

    save: (change, { isAppending, quota }) => keptContents.transactWithRoom(change.ownerId, function * () {
      const { id, ownerId, offset, state, length, lifetimeMilliseconds } = change
      const [owner, found, reserved] = yield * together(owners.lock(ownerId), ask(lockById, { id }), owners.reserved(ownerId))
      const upload = taken(found, change.generation)
      const { time } = reserved
      const bytes = reservation(change) - reservation(upload)
      const excess = refuseBeyond(quota, { owner, reserved, added: { bytes, files: 0 } })
      yield * update(upload, { offset, state, length, expiresAt: time + lifetimeMilliseconds, isAppending })
      // Only what has arrived needs room.
      yield * keptContents.makeRoom(ownerId, { bytes: excess - bytes + offset - upload.offset, time })
    }),

    finish: (change, { sha256, quota, maxFinished = MAX_FINISHED }) => keptContents.transactWithRoom(change.ownerId, function * (isRepeated) {
      const { id, ownerId, offset, state, lifetimeMilliseconds } = change
      const [owner, found, reserved, [current]] = yield * together(owners.lock(ownerId), ask(lockById, { id }), owners.reserved(ownerId, id), ask(itsFile, { ownerId, id }))
      const upload = taken(found, change.generation, isRepeated)
      const { time } = reserved
      if (upload.result !== undefined) return upload.result
      const { name, type, blobId } = upload
      const file = { ownerId, name, type, blobId, size: offset, sha256, isLeased: false }
      const result = yield * store(upload, file, { owner, current, time, reserved, quota })
      const progress = { offset, length: offset, expiresAt: time + lifetimeMilliseconds, isAppending: false }
      if (result === undefined) {
        yield * update(upload, { ...progress, state, isRefused: true })
        // The bytes of a refused upload stay with it.
        const all = yield * owners.reserved(ownerId)
        yield * keptContents.makeRoom(ownerId, { bytes: refuseBeyond(quota, { owner, reserved: all, added: { bytes: 0, files: 0 } }), time })
        return undefined
      }
      yield * update(upload, { ...progress, state: null, precondition: {}, reprDigest: null, isRefused: false, result })
      yield * forgetFinished(ownerId, maxFinished)
      return result
    }),

    remove: (ownerId, id) => transactFor(ownerId, function * () {
      const [, upload] = yield * together(owners.lock(ownerId), find(ownerId, id, lockById))
      if (upload === undefined) throw new Problem('not_found')
      yield * remove(eq(uploads.id, id))
    }),

    usage: ownerId => read(function * () {
      const { uploads, bytes, receivedBytes } = yield * owners.reserved(ownerId)
      return { uploads, bytes, receivedBytes }
    }),

    async removeExpired (limit) {
      const hasExpired = lte(uploads.expiresAt, clock)
      // Usually there is none, and a write costs a sync.
      if ((await read(() => ask(reading('', db => db.select({ id: uploads.id }).from(uploads).where(hasExpired).limit(1))))).length === 0) return false
      return transact(function * () {
        // Those that another process is deleting are left to it.
        const expired = yield * ask(reading('', db => skippingLocked(db.select({ id: uploads.id }).from(uploads).where(hasExpired).limit(limit))))
        return (yield * remove(inArray(uploads.id, expired.map(({ id }) => id)))) === limit
      })
    }
  }
}

function ended (): Problem {
  return new Problem('unavailable', { detail: 'The upload has ended.', headers: { 'retry-after': '1' } })
}

function reservation ({ length, offset }: { length: number | null, offset: number }): number {
  return length ?? offset
}

function recordOf ({ result, ...row }: Row): UploadRecord {
  return { ...row, result: result ?? undefined }
}
