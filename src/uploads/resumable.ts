import { type BlobStore, createBlobId, isBlobId, type Reserve } from '../blobs/blob-store.ts'
import { expectDigests } from '../files/digests.ts'
import type { DiskRoom } from '../files/disk-room.ts'
import type { Files } from '../files/files.ts'
import { mediaTypeOf } from '../files/media-type.ts'
import type { Quotas } from '../files/quotas.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { isUnconditional, permits, type Precondition } from '../metadata/preconditions.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { ListedUpload, StoredUpload, UploadPage, UploadProgress, UploadRecord } from '../metadata/uploads-repository.ts'
import { Problem, refuseSize } from '../problems.ts'
import { createSaveProgress } from './progress.ts'
import { createReceiver, type Ending, noBytes, offsetFields, refusal, requireEmpty, requireOffset, type UploadAppend } from './receiver.ts'
import { createTurns, either } from './turns.ts'
import type { UploadLimits } from './upload-fields.ts'

/** Unfinished uploads of an account. */
const MAX_UPLOADS = 1000

/** A request to create an upload. Its values are as sent, except for numbers. */
export interface UploadCreation {
  readonly owner: AccountRecord
  /** If undefined, the file is called like the upload's id. */
  readonly name: string | undefined
  readonly type: string | undefined
  /** Bytes of the file; undefined if they are announced later. */
  readonly length: number | undefined
  /** Bytes that follow and are to be appended; undefined if their number is not known. */
  readonly announcedBytes: number | undefined
  readonly method: 'POST' | 'PUT'
  readonly precondition: Precondition
  readonly uploadMetadata: string | undefined
  /** `Repr-Digest`. */
  readonly reprDigest: string | undefined
}

/** An upload after a request; with the file once it is complete. */
export interface UploadOutcome { readonly upload: UploadRecord, readonly stored: StoredUpload | undefined }

/** Uploads that survive lost connections and restarts, whatever protocol their clients speak. */
export interface ResumableUploads {
  /** `max-size` and `max-age` for clients: bytes, and seconds since the last byte. */
  readonly limits: UploadLimits
  /**
   * Creates an upload without bytes; one of length 0 is complete, unless it has content, which is to be refused.
   * @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, too_many_uploads, precondition_failed if it is certain,
   * digest_malformed, storage_full.
   */
  create (request: UploadCreation): Promise<UploadOutcome>
  /** As it is, without ending an append. @throws not_found, precondition_failed as `offset`. */
  get (owner: AccountRecord, id: string, clientGone?: AbortSignal): Promise<UploadRecord>
  /** Unfinished ones, newest first. */
  list (owner: AccountRecord, page: UploadPage): Promise<ListedUpload[]>
  /** The newest unfinished upload of this name that was created by `PUT`, for ranged `PUT`. */
  findByName (owner: AccountRecord, name: string): Promise<ListedUpload | undefined>
  /**
   * The offset on stable storage. Ends an append that is under way, after what it has received is committed.
   * @throws not_found, precondition_failed if all bytes are there and the file was refused.
   */
  offset (owner: AccountRecord, id: string, clientGone?: AbortSignal): Promise<UploadOutcome>
  /**
   * Appends bytes. Ends an append that is under way. When the length is reached, or the last bytes have ended, one transaction ends the
   * upload and adds the file, which `Files.store` can't do. An empty append at the full offset tries that again, or repeats its answer.
   * @throws not_found, upload_offset_mismatch, upload_length_inconsistent, upload_completed, upload_taken_over, file_too_large, quota_exceeded,
   * digest_mismatch, precondition_failed, storage_full, and what `bytes` throws, after what arrived is committed.
   */
  append (owner: AccountRecord, id: string, append: UploadAppend): Promise<UploadOutcome>
  /** Ends an upload. A file that it became stays. @throws not_found. */
  cancel (owner: AccountRecord, id: string): Promise<void>
  /** Ends all appends that are under way, after what they have received is committed; for SIGTERM. */
  stop (): void
  close (): Promise<void>
}

interface ResumableOptions {
  metadata: Metadata
  blobs: BlobStore
  reserve: Reserve
  room: DiskRoom
  files: Pick<Files, 'acceptName' | 'sweep'>
  quotas: Quotas
  limits: { maxFileBytes: number, uploadExpiryHours: number }
}

export function createResumableUploads ({ metadata, blobs, reserve, room, files, quotas, limits }: ResumableOptions): ResumableUploads {
  const lifetimeMilliseconds = limits.uploadExpiryHours * 3600_000
  const turns = createTurns()

  const changeOf = ({ id, ownerId, generation }: UploadRecord, { offset, state, length }: UploadProgress) => ({ id, ownerId, generation, offset, state, length, lifetimeMilliseconds })

  const save = createSaveProgress({ metadata, blobs, reserve, room, quotas, changeOf })

  async function end (owner: AccountRecord, id: string): Promise<void> {
    if (!isBlobId(id)) throw new Problem('not_found')
    await reserve.withSpace(() => metadata.uploads.remove(owner.id, id))
    files.sweep()
  }

  async function get (owner: AccountRecord, id: string): Promise<UploadRecord> {
    const upload = isBlobId(id) ? await metadata.uploads.find(owner.id, id) : undefined
    if (upload === undefined) throw new Problem('not_found')
    return upload
  }

  const receiver = createReceiver({ blobs, room, quotas, maxFileBytes: limits.maxFileBytes, save, checkCurrent: (owner, { id }) => get(owner, id), end })

  async function takeOver (owner: AccountRecord, id: string, to: { isAppending: boolean, precondition?: Precondition | undefined }): Promise<UploadRecord> {
    // A full disk must not hide the offset.
    return reserve.withSpace(() => metadata.uploads.takeOver(owner.id, id, { ...to, lifetimeMilliseconds }))
  }

  /** Returns the upload with a final offset: takes it over from an append that is in progress, or was when its process died. */
  async function takeOverIfAppending (owner: AccountRecord, id: string): Promise<UploadRecord> {
    const upload = await get(owner, id)
    return upload.isAppending ? takeOver(owner, id, { isAppending: false }) : upload
  }

  async function checkCreation ({ owner, length, announcedBytes = 0, method, precondition, reprDigest }: UploadCreation, name: string): Promise<void> {
    expectDigests({ 'repr-digest': reprDigest })
    const leastBytes = length ?? announcedBytes
    if (leastBytes > limits.maxFileBytes) refuseSize(limits.maxFileBytes)
    if (length === undefined) await quotas.check(owner, { bytes: announcedBytes, files: 0 })
    const current = await metadata.files.find(owner.id, name)
    // A file with the same bytes is no conflict. A different length proves that the bytes differ.
    const isRefused = method === 'POST' && isUnconditional(precondition)
      ? current !== undefined && length !== undefined && length !== current.size
      : !permits(precondition, current)
    if (isRefused) throw new Problem('precondition_failed')
    await room.requireSpace(leastBytes)
  }

  /**
   * Makes a file of an upload whose bytes are all there. If that fails for now, the bytes are kept.
   * @throws precondition_failed; digest_mismatch, and then the upload ends.
   */
  async function finish (owner: AccountRecord, upload: UploadRecord, { progress, watched, reprDigest, signal }: Ending): Promise<UploadOutcome> {
    const size = progress.offset
    const whole = { ...progress, length: size }
    // Nothing can be appended after it: the next request, even after a crash, finds all bytes and goes on here.
    const record = () => save(owner, upload, { ...whole, isAppending: true })
    if (blobs.assemble !== undefined) {
      await record()
      await blobs.assemble(upload.blobId, { size, state: progress.state })
    }
    const store = async () => {
      const sha256 = await receiver.verify(upload, { size, state: progress.state }, { watched, reprDigests: [upload.reprDigest ?? undefined, reprDigest], signal })
      return room.withRoom(owner.id, () => metadata.uploads.finish(changeOf(upload, whole), { sha256, quota: quotas.of(owner) }))
    }
    const stored = await store().catch(async (error: unknown) => {
      if (error instanceof Problem && error.code === 'digest_mismatch') await end(owner, upload.id)
      else await record().catch(() => {})
      throw error
    })
    if (stored === undefined) throw refusal(size)
    // Bytes that were replaced, duplicates, or kept content that was deleted for space.
    if (!stored.isNew || owner.keptBytes > 0) files.sweep()
    return { upload: { ...upload, ...whole, result: stored }, stored }
  }

  async function append (owner: AccountRecord, id: string, { append, signal }: { append: UploadAppend, signal: AbortSignal }): Promise<UploadOutcome> {
    const found = await takeOverIfAppending(owner, id)
    requireOffset(found, append.offset)
    if (found.result !== undefined) return repeat(found, append, signal)
    const length = await receiver.agreeOnLength(owner, found, append)
    const upload = await takeOver(owner, id, { isAppending: true, precondition: append.precondition })
    // Another process may have been faster.
    requireOffset(upload, append.offset)
    if (upload.result !== undefined) return repeat(upload, append, signal)
    const ending = either(signal, append.clientGone)
    // An empty file is received as well: that is what makes its bytes.
    if (upload.offset === length && length > 0) {
      return finish(owner, upload, { ...await receiver.receiveEnd(owner, upload, { length, append, signal }), reprDigest: append.reprDigest?.(), signal: ending })
    }
    const { progress, watched } = await receiver.receive(owner, upload, { length, append, signal })
    const isComplete = append.isLast || progress.offset === length
    if (isComplete && (length === null || progress.offset === length)) return finish(owner, upload, { progress, watched, reprDigest: append.reprDigest?.(), signal: ending })
    await save(owner, upload, { ...progress, isAppending: false })
    if (owner.keptBytes > 0) files.sweep()
    receiver.cacheDigest(upload, watched, progress.offset)
    if (isComplete) throw new Problem('upload_length_inconsistent')
    return { upload: { ...upload, ...progress }, stored: undefined }
  }

  /** Adds the committed offset, which the next append can use, to the refusal of an append that another request has ended. */
  async function tellOffset (owner: AccountRecord, id: string, error: unknown): Promise<never> {
    if (!(error instanceof Problem) || error.code !== 'upload_taken_over') throw error
    throw new Problem('upload_taken_over', { headers: offsetFields(await get(owner, id)), cause: error })
  }

  /** Repeats the answer of an upload that is complete. */
  async function repeat (upload: UploadRecord, request: UploadAppend, signal: AbortSignal): Promise<UploadOutcome> {
    await requireEmpty(request, signal)
    return { upload, stored: upload.result }
  }

  /** Returns the offset. If all bytes have arrived, first stores the file, or throws why it was refused. */
  async function conclude (owner: AccountRecord, id: string, signal: AbortSignal): Promise<UploadOutcome> {
    const upload = await takeOverIfAppending(owner, id)
    const { offset, length, result, isRefused } = upload
    if (result !== undefined || offset !== length) return { upload, stored: result }
    if (isRefused) throw refusal(offset)
    // The process that received the last bytes could not store the file.
    const taken = await takeOver(owner, id, { isAppending: true })
    return taken.result === undefined ? finish(owner, taken, { progress: taken, signal }) : { upload: taken, stored: taken.result }
  }

  // Another account that asks for the upload must not end what its owner does.
  const takeTurn = <T>(owner: AccountRecord, id: string, work: (signal: AbortSignal) => Promise<T>) => turns.take(`${owner.id} ${id}`, work)

  const appendExclusively = (owner: AccountRecord, id: string, request: UploadAppend) =>
    takeTurn(owner, id, signal => append(owner, id, { append: request, signal }).catch((error: unknown) => tellOffset(owner, id, error)))

  return {
    limits: { maxBytes: limits.maxFileBytes, maxAgeSeconds: lifetimeMilliseconds / 1000 },

    async create (request) {
      const { owner, type, length, announcedBytes, method, precondition, uploadMetadata = null, reprDigest = null } = request
      const id = createBlobId()
      const name = files.acceptName(request.name ?? id)
      await checkCreation(request, name)
      const content = { name, type: mediaTypeOf(name, type), length: length ?? null, uploadMetadata, reprDigest }
      const added = { ...content, id, ownerId: owner.id, blobId: createBlobId(), method, precondition, lifetimeMilliseconds }
      const upload = await room.withRoom(owner.id, () => metadata.uploads.add(added, { maxUploads: MAX_UPLOADS, quota: quotas.of(owner) }))
      if (length !== 0 || announcedBytes !== 0) return { upload, stored: undefined }
      return appendExclusively(owner, upload.id, { ...noBytes, offset: 0, announcedBytes: 0, length: undefined, isLast: true })
    },

    async get (owner, id, clientGone) {
      const upload = await get(owner, id)
      if (upload.result !== undefined || upload.offset !== upload.length) return upload
      return (await takeTurn(owner, id, signal => conclude(owner, id, either(signal, clientGone)))).upload
    },

    list: (owner, page) => metadata.uploads.list(owner.id, page),

    findByName: async (owner, name) => (await metadata.uploads.list(owner.id, { name, method: 'PUT', before: undefined, limit: 1 }))[0],

    offset: (owner, id, clientGone) => takeTurn(owner, id, signal => conclude(owner, id, either(signal, clientGone))),

    append: appendExclusively,

    cancel: (owner, id) => takeTurn(owner, id, () => end(owner, id)),

    stop: () => turns.abort(new Problem('stopping', { headers: { 'retry-after': '5' } })),

    close: turns.close
  }
}
