import type { BlobStore } from '../blobs/blob-store.ts'
import { createBlobId, isBlobId } from '../blobs/blob-writer.ts'
import { expectDigests } from '../files/digests.ts'
import { fileAt, type Files } from '../files/files.ts'
import type { Uploader } from '../files/incoming-file.ts'
import { mediaTypeOf } from '../files/names.ts'
import type { Space } from '../files/space.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { isUnconditional, permits, type Precondition } from '../metadata/preconditions.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { ListedUpload, UploadPage, UploadRecord } from '../metadata/upload-records.ts'
import { Problem, refuseSize } from '../problems.ts'
import { ContentDigests } from './content-digests.ts'
import type { UploadLimits } from './upload-fields.ts'
import { noBytes, offsetFields, type UploadAppend } from './upload-append.ts'
import { type SessionOptions, UploadSession } from './upload-session.ts'

/** Unfinished uploads of an account. */
const MAX_UPLOADS = 1000

/** A request to create an upload. Its values are as sent, except for numbers. */
export interface UploadCreation {
  readonly uploader: Uploader
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
  /** The client's time of the content; null if it was not told. */
  readonly modifiedAt: number | null
}

interface UploadsOptions {
  metadata: Metadata
  blobs: BlobStore
  space: Space
  files: Pick<Files, 'acceptName'>
  limits: { maxFileBytes: number, uploadExpiryHours: number }
}

/** The latest request about an upload. */
interface Turn { readonly controller: AbortController, readonly ended: Promise<unknown> }

/** Uploads that survive lost connections and restarts, whatever protocol their clients speak. */
export class ResumableUploads {
  /** For clients. */
  readonly limits: UploadLimits
  readonly #options: UploadsOptions
  readonly #sessions: SessionOptions
  readonly #turns = new Map<string, Turn>()
  #stopped: Problem | undefined

  constructor (options: UploadsOptions) {
    const { limits: { maxFileBytes, uploadExpiryHours }, ...parts } = options
    this.#options = options
    this.limits = { maxBytes: maxFileBytes, maxAgeSeconds: uploadExpiryHours * 3600 }
    const digests = new ContentDigests(parts.blobs)
    this.#sessions = { ...parts, digests, maxFileBytes, lifetimeMilliseconds: uploadExpiryHours * 3600_000 }
  }

  /**
   * Creates an upload with offset 0. If its length and its content are 0 bytes, it is complete at once.
   * @throws name_invalid, extension_not_allowed, name_taken, file_too_large, quota_exceeded, link_limit_reached,
   * too_many_uploads, precondition_failed if it is certain, digest_malformed, storage_full.
   */
  async create (request: UploadCreation): Promise<UploadRecord> {
    const { files, metadata, space } = this.#options
    const { uploader, length = null, announcedBytes, method, precondition } = request
    const { owner, linkId } = uploader
    const id = createBlobId()
    const name = files.acceptName(request.name ?? id, linkId)
    await this.#checkCreation(request, name)
    const added = {
      id,
      ownerId: owner.id,
      linkId,
      name,
      type: mediaTypeOf(name, request.type),
      blobId: createBlobId(),
      length,
      method,
      precondition,
      uploadMetadata: request.uploadMetadata ?? null,
      reprDigest: request.reprDigest ?? null,
      modifiedAt: request.modifiedAt,
      lifetimeMilliseconds: this.#sessions.lifetimeMilliseconds
    }
    const limits = { maxUploads: MAX_UPLOADS, quota: space.quotaOf(owner) }
    const upload = await space.of(uploader).record(() => metadata.uploads.add(added, limits))
    if (length !== 0 || announcedBytes !== 0) return upload
    const nothing = { ...noBytes, offset: 0, announcedBytes: 0, length: undefined, isLast: true }
    return this.append(uploader, upload.id, nothing)
  }

  async #checkCreation (creation: UploadCreation, name: string): Promise<void> {
    const { uploader, length, announcedBytes = 0, reprDigest } = creation
    const { space, limits: { maxFileBytes } } = this.#options
    const allowance = space.of(uploader)
    expectDigests({ 'repr-digest': reprDigest })
    const leastBytes = length ?? announcedBytes
    if (leastBytes > maxFileBytes) refuseSize(maxFileBytes)
    if (length === undefined) await allowance.check({ bytes: announcedBytes, files: 0 })
    // By a link, a free name is found at the end.
    if (uploader.linkId === null) await this.#requireFree(creation, name)
    await allowance.requireDisk(leastBytes)
  }

  /** @throws precondition_failed if it is certain that the file will be refused. */
  async #requireFree (
    { uploader: { owner }, length, method, precondition }: UploadCreation, name: string
  ): Promise<void> {
    const current = fileAt(await this.#options.metadata.files.findPlace(owner.id, name))
    // A file with the same bytes is no conflict. A different length proves that the bytes differ.
    const isRefused = method === 'POST' && isUnconditional(precondition)
      ? current !== undefined && length !== undefined && length !== current.size
      : !permits(precondition, current)
    if (isRefused) throw new Problem('precondition_failed')
  }

  /** Reads the upload; a running append continues. @throws not_found, precondition_failed as `offset`. */
  async get (uploader: Uploader, id: string, clientGone?: AbortSignal): Promise<UploadRecord> {
    const { owner, linkId } = uploader
    const upload = isBlobId(id) ? await this.#options.metadata.uploads.find(owner.id, id, linkId) : undefined
    if (upload === undefined) throw new Problem('not_found')
    if (upload.result !== undefined || upload.offset !== upload.length) return upload
    return this.offset(uploader, id, clientGone)
  }

  /** Unfinished ones of the owner, without those by links, newest first. */
  list (owner: AccountRecord, page: UploadPage): Promise<ListedUpload[]> {
    return this.#options.metadata.uploads.list(owner.id, page)
  }

  /** The newest unfinished upload of this name that was created by `PUT`, for ranged `PUT`. */
  async findByName (owner: AccountRecord, name: string): Promise<ListedUpload | undefined> {
    return (await this.list(owner, { name, method: 'PUT', before: undefined, limit: 1 }))[0]
  }

  /**
   * The offset on stable storage. Ends a running append once its bytes are committed.
   * @throws not_found, precondition_failed if all bytes are there and the file was refused.
   */
  offset (uploader: Uploader, id: string, clientGone?: AbortSignal): Promise<UploadRecord> {
    return this.#inTurn(uploader, id, session => session.complete(clientGone))
  }

  /**
   * Appends bytes, and ends a running append. After the last byte, one transaction ends the upload and adds the file.
   * An empty append at the full offset retries that, or returns the stored file.
   * @throws not_found, upload_offset_mismatch, upload_length_inconsistent, upload_completed, upload_taken_over,
   * file_too_large, quota_exceeded, link_limit_reached, digest_mismatch, precondition_failed, storage_full, and what
   * `bytes` throws, once the bytes before are committed.
   */
  append (uploader: Uploader, id: string, append: UploadAppend): Promise<UploadRecord> {
    return this.#inTurn(uploader, id, session => session.append(append).catch(async (error: unknown) => {
      if (!(error instanceof Problem) || error.code !== 'upload_taken_over') throw error
      // With the committed offset, which the next append can use.
      throw new Problem('upload_taken_over', { headers: offsetFields(await session.read()), cause: error })
    }))
  }

  /** Ends an upload. A file that it became stays. @throws not_found. */
  cancel (uploader: Uploader, id: string): Promise<void> {
    return this.#inTurn(uploader, id, session => session.end())
  }

  /** Ends all running appends once their bytes are committed. For SIGTERM. */
  stop (): void {
    this.#stopped = new Problem('stopping', { headers: { 'retry-after': '5' } })
    for (const { controller } of this.#turns.values()) controller.abort(this.#stopped)
  }

  /** Waits for the requests in progress. */
  async close (): Promise<void> {
    await Promise.all(Array.from(this.#turns.values(), ({ ended }) => ended))
  }

  /** Aborts the running request about this upload, waits for its end, and runs `work`. The next request aborts that. */
  async #inTurn<T> (uploader: Uploader, id: string, work: (session: UploadSession) => Promise<T>): Promise<T> {
    if (!isBlobId(id)) throw new Problem('not_found')
    // One account can't interrupt another's upload, and a link neither.
    const key = `${uploader.owner.id} ${uploader.linkId} ${id}`
    const before = this.#turns.get(key)
    before?.controller.abort(new Problem('upload_taken_over'))
    const controller = new AbortController()
    if (this.#stopped !== undefined) controller.abort(this.#stopped)
    const session = new UploadSession(this.#sessions, { uploader, id, signal: controller.signal })
    const result = (before?.ended ?? Promise.resolve()).then(() => work(session))
    const turn = {
      controller,
      ended: result.catch(() => {}).then(() => { if (this.#turns.get(key) === turn) this.#turns.delete(key) })
    }
    this.#turns.set(key, turn)
    return result
  }
}
