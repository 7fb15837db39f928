import type { Readable } from 'node:stream'
import { isBlobId, type BlobStore, type Reserve } from '../blobs/blob-store.ts'
import { type Metadata, OutcomeUnknown } from '../metadata/metadata.ts'
import { permits, type Precondition, seconds } from '../metadata/preconditions.ts'
import type { AccountRecord, FilePage, FileRecord, NewFile } from '../metadata/records.ts'
import type { StoreResult } from '../metadata/uploads-repository.ts'
import { Problem, refuseSize } from '../problems.ts'
import type { BlobCleanup } from './blob-cleanup.ts'
import type { DiskRoom } from './disk-room.ts'
import { openBytes, planDownload, redirectLarge, type DownloadPlan, type DownloadRequest } from './download.ts'
import { IncomingBlobs } from './incoming-blobs.ts'
import { mediaTypeOf } from './media-type.ts'
import { extensionOf, fileName, findFileName } from './names.ts'
import type { Quotas } from './quotas.ts'

interface FilesOptions {
  metadata: Metadata
  blobs: BlobStore
  reserve: Reserve
  cleanup: Pick<BlobCleanup, 'sweep' | 'close'>
  room: DiskRoom
  quotas: Quotas
  limits: {
    maxFileBytes: number
    /** Lower case, without dots; undefined allows any. */
    allowedExtensions: string[] | undefined
    /** How long a client may begin a large download from the store of the bytes itself; 0: never. */
    redirectSeconds?: number
  }
}

/** A file in the body of a request. */
export interface IncomingFile {
  /** As sent, not yet normalised. */
  readonly name: string
  /** Declared media type, unchecked. */
  readonly type: string | undefined
  readonly bytes: AsyncIterable<Uint8Array>
}

/** The body of a request that has not been read yet. */
export interface IncomingBody {
  /** Name of the file; undefined if only the body tells it. */
  readonly name: string | undefined
  /** The file has at least this many bytes, as announced. */
  readonly minBytes: number
  /** The file has at most this many bytes, as announced. */
  readonly maxBytes: number
  /**
   * Reads the whole body and calls `use` once, with its file. Rejects if `use` does or the body is wrong, even after
   * `use` was called.
   */
  read (use: (file: IncomingFile) => Promise<void>): Promise<void>
}

/** `create` needs a free name; `put` also replaces a file, if the precondition permits it. */
type StoreRequest = { readonly owner: AccountRecord, readonly upload: IncomingBody } & (
  | { readonly mode: 'create' }
  | { readonly mode: 'put', readonly precondition: Precondition })

interface Download { readonly plan: DownloadPlan, readonly bytes: Readable | Buffer | undefined }

/** The ownership rule: every method takes the owner, and files of other accounts do not exist. */
export class Files {
  readonly #options: FilesOptions
  readonly #incoming: IncomingBlobs

  constructor (options: FilesOptions) {
    this.#options = options
    this.#incoming = new IncomingBlobs(options.metadata.blobs, options.blobs)
  }

  /**
   * Stores an upload: checks what is announced, reads the bytes to stable storage, then records the file. If anything
   * fails, nothing is stored. Creating a file that exists with the same bytes returns that file.
   * @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, storage_full, name_taken,
   * precondition_failed, not_found if the account was deleted meanwhile, and what the upload throws.
   */
  async store (request: StoreRequest): Promise<StoreResult> {
    const received = await this.#readUpload(request)
    const stored = await this.#commit(received.blobId, this.#record(request, received))
    // Bytes were replaced, or kept content was deleted for space.
    if ((request.mode === 'put' && !stored.isNew) || request.owner.keptBytes > 0) this.sweep()
    return stored
  }

  /** @throws not_found. */
  async get (ownerId: number, name: string): Promise<FileRecord> {
    const stored = findFileName(name)
    const file = stored === undefined ? undefined : await this.#options.metadata.files.find(ownerId, stored)
    if (file === undefined) throw new Problem('not_found')
    return file
  }

  /**
   * Decides the response to a download, and opens the bytes only if some are to be sent. They stay complete even if the
   * file is replaced or deleted. The caller reads or destroys the stream, if it is one. `request.version`: the id of a
   * version, instead of the file.
   * @throws not_found, file_damaged.
   */
  async download (
    ownerId: number, name: string, request: DownloadRequest & { version?: string | undefined }
  ): Promise<Download> {
    const { blobs, limits } = this.#options
    const find = () => request.version === undefined
      ? this.#getWithPastDate(ownerId, name)
      : this.#getVersion(ownerId, name, request.version)
    for (;;) {
      const file = await find()
      const planned = planDownload(request, file, Date.now())
      const plan = await redirectLarge(blobs, { file, request, plan: planned, seconds: limits.redirectSeconds ?? 0 })
      try {
        return { plan, bytes: await openBytes(blobs, file, plan) }
      } catch (error) {
        // If the file was replaced meanwhile, the old bytes may be removed already.
        const current = await find()
        if (current.blobId === file.blobId) throw error
      }
    }
  }

  async list (ownerId: number, page: FilePage): Promise<FileRecord[]> {
    return this.#options.metadata.files.list(ownerId, page)
  }

  /** @throws not_found, name_invalid, extension_not_allowed, name_taken. */
  async rename (ownerId: number, name: string, newName: string): Promise<FileRecord> {
    const file = await this.get(ownerId, name)
    return this.#options.metadata.files.rename(ownerId, file.name, this.acceptName(newName))
  }

  /** Moves a file with its versions to the trash, or deletes them for good. @throws not_found, precondition_failed. */
  async remove (
    ownerId: number, name: string, removal: { precondition: Precondition, isPermanent: boolean }
  ): Promise<void> {
    const { metadata, reserve } = this.#options
    // Checked first: a transaction waits for other writers and empties the row cache, even if it changes nothing.
    const file = await this.get(ownerId, name)
    await reserve.withSpace(() => metadata.files.remove(ownerId, file.name, removal))
    this.sweep()
  }

  /** The name of a new file, as it is stored. @throws name_invalid, extension_not_allowed. */
  acceptName (text: string): string {
    const name = fileName(text)
    const { allowedExtensions } = this.#options.limits
    if (allowedExtensions !== undefined && !allowedExtensions.includes(extensionOf(name))) {
      throw new Problem('extension_not_allowed', { detail: `Allowed are: ${allowedExtensions.join(', ')}.` })
    }
    return name
  }

  /** Requests the removal of deleted accounts and unused bytes in the background. Failures are retried in a minute. */
  sweep (): void {
    this.#options.cleanup.sweep()
  }

  /** Waits for the sweeps that were requested. */
  async close (): Promise<void> {
    this.#incoming.close()
    await this.#options.cleanup.close()
  }

  async #readUpload (request: StoreRequest): Promise<NewFile> {
    const current = await this.#checkAnnounced(request)
    const received: NewFile[] = []
    try {
      await request.upload.read(async file => { received.push(await this.#receive(request, file, current)) })
    } catch (error) {
      for (const { blobId } of received) await this.#incoming.discard(blobId)
      throw error
    }
    return received[0] as NewFile
  }

  /** Refuses what can't be stored as announced, before the body is read. Returns the file to be replaced, if known. */
  async #checkAnnounced (request: StoreRequest): Promise<FileRecord | undefined> {
    const { files } = this.#options.metadata
    const { owner, upload: { name, minBytes, maxBytes } } = request
    if (name === undefined) {
      // The file may be a retry of one that is stored, which succeeds even if the quota is used up.
      if (!await files.hasOfSize(owner.id, { minBytes, maxBytes })) await this.#checkLimits(owner, minBytes, undefined)
      return undefined
    }
    const current = await files.find(owner.id, this.acceptName(name))
    if (request.mode === 'put' && !permits(request.precondition, current)) throw new Problem('precondition_failed')
    await this.#checkLimits(owner, minBytes, current)
    return current
  }

  async #checkLimits (owner: AccountRecord, size: number, current: FileRecord | undefined): Promise<void> {
    const { limits: { maxFileBytes }, quotas, room } = this.#options
    if (size > maxFileBytes) refuseSize(maxFileBytes)
    await quotas.check(owner, { bytes: size - (current?.size ?? 0), files: current === undefined ? 1 : 0 })
    await room.requireSpace(size)
  }

  async #receive (
    { owner, upload }: StoreRequest, { name: text, type, bytes }: IncomingFile, announced: FileRecord | undefined
  ): Promise<NewFile> {
    const { metadata, blobs, room, limits: { maxFileBytes } } = this.#options
    const name = this.acceptName(text)
    const current = upload.name === undefined ? await metadata.files.find(owner.id, name) : announced
    const available = await this.#availableBytes(owner, current)
    const options = { maxBytes: Math.min(maxFileBytes, available), makeRoom: room.makerFor(owner.id) }
    try {
      const { id: blobId, size, sha256 } = await this.#incoming.put(bytes, options)
      return {
        ownerId: owner.id, name, type: mediaTypeOf(name, type), blobId, isLeased: blobs.needsLeases, size, sha256
      }
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'file_too_large' || available >= maxFileBytes) throw error
      throw new Problem('quota_exceeded', { detail: `The quota leaves ${available} bytes for this file.`, cause: error })
    }
  }

  /** Bytes that the quota leaves for a file that replaces `current`. The same size always fits, for retries. */
  async #availableBytes (owner: AccountRecord, current: FileRecord | undefined): Promise<number> {
    const currentBytes = current?.size ?? 0
    return Math.max(currentBytes, await this.#options.quotas.availableBytes(owner, currentBytes))
  }

  #record (request: StoreRequest, file: NewFile): Promise<StoreResult> {
    const { metadata: { files }, quotas, room } = this.#options
    const quota = quotas.of(request.owner)
    return room.withRoom(request.owner.id, () => request.mode === 'create' ? files.add(file, quota) : files.put(file, quota, request.precondition))
  }

  /** Commits the received bytes if the record refers to them, else deletes them. Recovery decides unknown outcomes. */
  async #commit (blobId: string, recording: Promise<StoreResult>): Promise<StoreResult> {
    const stored = await recording.catch(async (error: unknown) => {
      if (error instanceof OutcomeUnknown) this.#incoming.leave(blobId)
      else await this.#incoming.discard(blobId)
      throw error
    })
    if (stored.file.blobId === blobId) this.#incoming.commit(blobId)
    else await this.#incoming.discard(blobId)
    return stored
  }

  /**
   * `Last-Modified` must not be in the future (RFC 9110 section 8.8.2.1), and must match when a client sends it back.
   * So a stored date is corrected after the clock was set back.
   */
  async #getWithPastDate (ownerId: number, name: string): Promise<FileRecord> {
    const { metadata, reserve } = this.#options
    const file = await this.get(ownerId, name)
    if (seconds(file.updatedAt) <= seconds(Date.now())) return file
    await reserve.withSpace(() => metadata.files.correctDate(ownerId, file.name)).catch(() => {})
    return this.get(ownerId, name)
  }

  /** A version as a file: its content is that of the version, and so is the date. */
  async #getVersion (ownerId: number, name: string, id: string): Promise<FileRecord> {
    const stored = findFileName(name)
    const found = stored === undefined || !isBlobId(id)
      ? undefined
      : await this.#options.metadata.kept.findVersion(ownerId, stored, id)
    if (found === undefined) throw new Problem('not_found')
    const { file, version: { size, type, sha256, storedAt } } = found
    return { ...file, size, type, sha256, storedAt, blobId: id, updatedAt: storedAt }
  }
}
