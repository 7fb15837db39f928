import { and, desc, eq, gt, isNull, lt } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Discard } from './blobs.ts'
import type { Engine } from './engine.ts'
import type { Beginning, FileContents } from './file-contents.ts'
import type { FolderTree } from './folder-tree.ts'
import type { KeptContents } from './kept-contents.ts'
import { refuseBeyondRoom } from './link-records.ts'
import type { LinkUploads } from './link-uploads.ts'
import type { LockGuard } from './lock-guard.ts'
import { OwnUploads } from './own-uploads.ts'
import { refuseBeyond, type Owners } from './owners.ts'
import { isUnconditional, type Precondition } from './preconditions.ts'
import { type Ask, ask, type Query, reading, together, type Rule } from './rule.ts'
import { listedColumns, type UploadQueries, uploadQueries, type UploadRow as Row } from './upload-queries.ts'
import { UploadRemovals } from './upload-removals.ts'
import {
  type ListedUpload, MAX_FINISHED, type NewUpload, type StoreResult, type TakeOver, type UploadChange,
  type UploadPage, type UploadRecord, type UploadRepository, type UploadUsage
} from './uploads-repository.ts'

/** Whose upload it is: the owner's own, or one by a link. */
type Holder = Pick<UploadRecord, 'ownerId' | 'linkId'>

type Changes = Partial<Row>
type Refused = Pick<Beginning, 'owner' | 'time' | 'quota'>

interface UploadOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly keptContents: KeptContents
  readonly guard: LockGuard
  readonly discard: Discard
  readonly linkUploads: LinkUploads
}

type Limits = Parameters<UploadRepository['add']>[1]
type Saving = Parameters<UploadRepository['save']>[1]
type Finishing = Parameters<UploadRepository['finish']>[1]

export class UploadRules implements UploadRepository {
  readonly #engine: Engine
  readonly #queries: UploadQueries
  readonly #removals: UploadRemovals
  readonly #owners: Owners
  readonly #keptContents: KeptContents
  readonly #ownUploads: OwnUploads
  readonly #linkUploads: LinkUploads

  constructor ({ engine, owners, tree, contents, keptContents, guard, discard, linkUploads }: UploadOptions) {
    this.#engine = engine
    this.#queries = uploadQueries(engine)
    this.#removals = new UploadRemovals({ engine, queries: this.#queries, discard })
    this.#owners = owners
    this.#keptContents = keptContents
    this.#ownUploads = new OwnUploads({ owners, tree, contents, guard, discard, removals: this.#removals })
    this.#linkUploads = linkUploads
  }

  add (upload: NewUpload, limits: Limits): Promise<UploadRecord> {
    return this.#engine.transactFor(upload.ownerId, () => this.#add(upload, limits))
  }

  * #add ({ lifetimeMilliseconds, ...upload }: NewUpload, limits: Limits): Rule<UploadRecord> {
    const { ownerId, linkId, length } = upload
    const [owner, createdAt] = yield * together(this.#owners.lock(ownerId), this.#engine.now())
    if (linkId === null) yield * this.#ownUploads.admit(upload, { ...limits, owner, time: createdAt })
    else yield * this.#linkUploads.admit(yield * this.#linkUploads.open({ ownerId, linkId, ...limits }), length ?? 0)
    const values = { ...upload, createdAt, expiresAt: createdAt + lifetimeMilliseconds }
    return yield * ask(this.#queries.insert, values, ([added]) => recordOf(added as Row))
  }

  find (ownerId: number, id: string, linkId: number | null = null): Promise<UploadRecord | undefined> {
    return this.#engine.read(() => this.#find({ ownerId, linkId }, id, this.#queries.byId))
  }

  #find ({ ownerId, linkId }: Holder, id: string, query: Query<Row[]>): Ask<UploadRecord | undefined> {
    return ask(query, { id }, ([row]) => row?.ownerId === ownerId && row.linkId === linkId ? recordOf(row) : undefined)
  }

  list (ownerId: number, { name, method, before, limit }: UploadPage): Promise<ListedUpload[]> {
    const { tables: { uploads }, clock, read } = this.#engine
    const columns = listedColumns(uploads)
    return read(() => ask(reading('', db => db.select(columns).from(uploads).where(and(
      eq(uploads.ownerId, ownerId),
      isNull(uploads.linkId),
      isNull(uploads.result),
      gt(uploads.expiresAt, clock),
      name === undefined ? undefined : eq(uploads.name, name),
      method === undefined ? undefined : eq(uploads.method, method),
      before === undefined ? undefined : lt(uploads.sequence, before)
    )).orderBy(desc(uploads.sequence)).limit(limit))))
  }

  takeOver (ownerId: number, id: string, { linkId = null, ...to }: TakeOver): Promise<UploadRecord> {
    return this.#engine.transactFor(ownerId, () => this.#takeOver({ ownerId, linkId }, id, to))
  }

  * #takeOver (
    holder: Holder, id: string, { isAppending, lifetimeMilliseconds, precondition, modifiedAt }: TakeOver
  ): Rule<UploadRecord> {
    const [upload, time] = yield * this.#lock(holder, id)
    if (upload.result !== undefined) return upload
    return yield * this.#update(upload, {
      generation: upload.generation + 1,
      isAppending,
      expiresAt: isAppending ? time + lifetimeMilliseconds : upload.expiresAt,
      precondition: replaced(upload.precondition, precondition),
      modifiedAt: modifiedAt ?? upload.modifiedAt
    })
  }

  /** The upload, locked with its owner, and the time. */
  * #lock (holder: Holder, id: string): Rule<[UploadRecord, number]> {
    const [, upload, time] = yield * together(
      this.#owners.lock(holder.ownerId), this.#find(holder, id, this.#queries.lockById), this.#engine.now()
    )
    if (upload === undefined) throw new Problem('not_found')
    return [upload, time]
  }

  #update (upload: UploadRecord, changes: Changes): Ask<UploadRecord> {
    const values = { ...upload, result: upload.result ?? null, ...changes }
    return ask(this.#queries.update, values, ([row]) => recordOf(row as Row))
  }

  save (change: UploadChange, saving: Saving): Promise<void> {
    return this.#keptContents.transactWithRoom(change.ownerId, () => this.#save(change, saving))
  }

  * #save (change: UploadChange, { isAppending, quota }: Saving): Rule<void> {
    const { id, ownerId, offset, state, length, lifetimeMilliseconds } = change
    const [owner, found, reserved] = yield * together(
      this.#owners.lock(ownerId), ask(this.#queries.lockById, { id }), this.#owners.reserved(ownerId)
    )
    const upload = getCurrent(found, change.generation)
    const { time } = reserved
    const bytes = reservation(change) - reservation(upload)
    const { linkId } = upload
    if (linkId !== null) {
      // All of it: kept content may have taken the room since, and does not go for what arrives by a link.
      const { room } = yield * this.#linkUploads.open({ ownerId, linkId, quota, except: id })
      refuseBeyondRoom(room, { bytes: reservation(change), files: 1 }, { bytes: offset, files: 1 })
    }
    const excess = linkId === null ? refuseBeyond(quota, { owner, reserved, added: { bytes, files: 0 } }) : -Infinity
    yield * this.#update(upload, { offset, state, length, expiresAt: time + lifetimeMilliseconds, isAppending })
    // Only what has arrived needs room.
    yield * this.#keptContents.makeRoom(ownerId, { bytes: excess - bytes + offset - upload.offset, time })
  }

  finish (change: UploadChange, finishing: Finishing): Promise<StoreResult | undefined> {
    return this.#keptContents.transactWithRoom(change.ownerId, () => this.#finish(change, finishing))
  }

  * #finish (change: UploadChange, { sha256, quota, maxFinished = MAX_FINISHED }: Finishing) {
    const { id, ownerId, name, offset, state, lifetimeMilliseconds } = change
    const [owner, found, reserved] = yield * together(
      this.#owners.lock(ownerId), ask(this.#queries.lockById, { id }), this.#owners.reserved(ownerId, id)
    )
    const upload = getCurrent(found, change.generation)
    const { time } = reserved
    const { type, blobId, modifiedAt, linkId } = upload
    const file = { ownerId, name, type, blobId, modifiedAt, size: offset, sha256, isLeased: false }
    const result = linkId === null
      ? yield * this.#ownUploads.store(upload, file, { owner, time, reserved, quota })
      : yield * this.#linkUploads.store(yield * this.#linkUploads.open({ ownerId, linkId, quota, except: id }), file)
    const progress = { offset, length: offset, expiresAt: time + lifetimeMilliseconds, isAppending: false }
    if (result === undefined) {
      return yield * this.#refuse(upload, { ...progress, state, isRefused: true }, { owner, time, quota })
    }
    const finished = { state: null, precondition: {}, reprDigest: null, isRefused: false, result }
    yield * this.#update(upload, { ...progress, ...finished })
    yield * this.#removals.forgetFinished(upload, maxFinished)
    return result
  }

  * #refuse (upload: UploadRecord, changes: Changes, { owner, time, quota }: Refused): Rule<undefined> {
    yield * this.#update(upload, changes)
    // The bytes of a refused upload stay with it.
    const reserved = yield * this.#owners.reserved(owner.id)
    const bytes = refuseBeyond(quota, { owner, reserved, added: { bytes: 0, files: 0 } })
    yield * this.#keptContents.makeRoom(owner.id, { bytes, time })
    return undefined
  }

  remove (ownerId: number, id: string, linkId: number | null = null): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#removeById({ ownerId, linkId }, id))
  }

  * #removeById (holder: Holder, id: string): Rule<void> {
    yield * this.#lock(holder, id)
    yield * this.#removals.remove(eq(this.#engine.tables.uploads.id, id))
  }

  usage (ownerId: number): Promise<UploadUsage> {
    return this.#engine.read(() => this.#usage(ownerId))
  }

  * #usage (ownerId: number): Rule<UploadUsage> {
    const { uploads, bytes, receivedBytes } = yield * this.#owners.reserved(ownerId)
    return { uploads, bytes, receivedBytes }
  }

  removeExpired (limit: number): Promise<boolean> {
    return this.#removals.removeExpired(limit)
  }
}

/** The upload, if no later request has taken it over. @throws upload_taken_over, not_found. */
function getCurrent ([row]: Row[], generation: number): UploadRecord {
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

function recordOf ({ result, ...row }: Row): UploadRecord {
  return { ...row, result: result ?? undefined }
}
