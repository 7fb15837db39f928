import type { Readable } from 'node:stream'
import { isBlobId, type BlobStore, type Reserve } from '../blobs/blob-store.ts'
import type { Conditions, Destination } from '../metadata/conditions.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { seconds } from '../metadata/preconditions.ts'
import type { AccountRecord, FilePage, FileRecord, NewFile } from '../metadata/records.ts'
import type { StoreResult } from '../metadata/uploads-repository.ts'
import { Problem, refuseSize } from '../problems.ts'
import type { BlobCleanup } from './blob-cleanup.ts'
import type { DiskRoom } from './disk-room.ts'
import { openBytes, planDownload, redirectLarge, type DownloadPlan, type DownloadRequest } from './download.ts'
import type { IncomingBlobs } from './incoming-blobs.ts'
import type { IncomingFile, StoreRequest } from './incoming-file.ts'
import { mediaTypeOf } from './media-type.ts'
import { extensionOf, fileName, getName } from './names.ts'
import type { Quotas } from './quotas.ts'

interface FilesOptions {
  metadata: Metadata
  blobs: BlobStore
  reserve: Reserve
  cleanup: Pick<BlobCleanup, 'sweep' | 'close'>
  room: DiskRoom
  quotas: Quotas
  incoming: IncomingBlobs
  limits: {
    maxFileBytes: number
    /** Lower case, without dots; undefined allows any. */
    allowedExtensions: string[] | undefined
    /** How long a client may begin a large download from the store of the bytes itself; 0: never. */
    redirectSeconds?: number
  }
}

interface Download { readonly plan: DownloadPlan, readonly bytes: Readable | Buffer | undefined }

/** The ownership rule: every method takes the owner, and files of other accounts do not exist. */
export class Files {
  readonly #options: FilesOptions

  constructor (options: FilesOptions) {
    this.#options = options
  }

  /**
   * Stores an upload: checks what is announced, reads the bytes to stable storage, then records the file. If anything
   * fails, nothing is stored. Creating a file that exists with the same bytes returns that file.
   * @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, storage_full, name_taken,
   * precondition_failed, not_found if the account was deleted meanwhile, and what the upload throws.
   */
  async store (request: StoreRequest): Promise<StoreResult> {
    const received = await this.#readUpload(request)
    const stored = await this.#options.incoming.commitWith(received.blobId, this.#record(request, received))
    // Bytes were replaced, or kept content was deleted for space.
    if ((request.mode === 'put' && !stored.isNew) || request.owner.keptBytes > 0) this.sweep()
    return stored
  }

  /** @throws not_found. */
  async get (ownerId: number, name: string): Promise<FileRecord> {
    const file = await this.#options.metadata.files.find(ownerId, getName(name))
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
      const seconds = request.isOfDrive === true ? 0 : limits.redirectSeconds ?? 0
      const plan = await redirectLarge(blobs, { file, request, plan: planned, seconds })
      try {
        return { plan, bytes: await openBytes(blobs, file, plan) }
      } catch (error) {
        // If the file was replaced meanwhile, the old bytes may be removed already.
        const current = await find()
        if (current.blobId === file.blobId) throw error
      }
    }
  }

  /** @throws not_found if the folder does not exist. */
  async list (ownerId: number, page: FilePage): Promise<FileRecord[]> {
    return this.#options.metadata.files.list(ownerId, page)
  }

  /**
   * Renames or moves a file.
   * @throws not_found, name_invalid, extension_not_allowed, name_taken, quota_exceeded, and as its destination says.
   */
  async rename (
    owner: AccountRecord, name: string, newName: string, destination: Destination = {}
  ): Promise<FileRecord> {
    const { metadata, quotas } = this.#options
    const file = await this.get(owner.id, name)
    const newPath = this.acceptName(newName)
    const renamed = await metadata.files.rename(owner.id, file.name, newPath, quotas.of(owner), destination)
    if (destination.overwrites === true) this.sweep()
    return renamed
  }

  /**
   * Moves a file with its versions to the trash, or deletes them for good.
   * @throws not_found, precondition_failed, file_locked.
   */
  async remove (
    ownerId: number, name: string, removal: { precondition: Conditions, isPermanent: boolean }
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
    this.#options.incoming.close()
    await this.#options.cleanup.close()
  }

  async #readUpload (request: StoreRequest): Promise<NewFile> {
    const current = await this.#checkAnnounced(request)
    const received: Omit<NewFile, 'modifiedAt'>[] = []
    try {
      await request.upload.read(async file => { received.push(await this.#receive(request, file, current)) })
    } catch (error) {
      for (const { blobId } of received) await this.#options.incoming.discard(blobId)
      throw error
    }
    const [file] = received as [Omit<NewFile, 'modifiedAt'>]
    return { ...file, modifiedAt: request.upload.modifiedAt?.() ?? null }
  }

  /** Refuses what can't be stored as announced, before the body is read. Returns the file to be replaced, if known. */
  async #checkAnnounced (request: StoreRequest): Promise<FileRecord | undefined> {
    const { files } = this.#options.metadata
    const { owner, upload } = request
    const { minBytes, maxBytes } = upload
    if ('folder' in upload) {
      // The file may be a retry of one that is stored, which succeeds even if the quota is used up.
      const isRetry = await files.hasOfSize(owner.id, { folder: upload.folder, minBytes, maxBytes })
      if (!isRetry) await this.#checkLimits(owner, minBytes, { newFolders: 0 })
      return undefined
    }
    const conditions = request.mode === 'put' ? request.precondition : {}
    const { lockedUntil } = owner
    const place = await files.findPlace(owner.id, this.acceptName(upload.name), { conditions, lockedUntil })
    await this.#checkLimits(owner, minBytes, place)
    return fileAt(place)
  }

  async #checkLimits (owner: AccountRecord, size: number, place: Place): Promise<void> {
    const { limits: { maxFileBytes }, quotas, room } = this.#options
    if (size > maxFileBytes) refuseSize(maxFileBytes)
    const added = 'newFolders' in place
      ? { bytes: size, files: place.newFolders + 1 }
      : { bytes: size - place.size, files: 0 }
    await quotas.check(owner, added)
    await room.requireSpace(size)
  }

  async #receive (
    { owner, upload }: StoreRequest, { name: text, type, bytes }: IncomingFile, announced: FileRecord | undefined
  ): Promise<Omit<NewFile, 'modifiedAt'>> {
    const { metadata, blobs, incoming, room, limits: { maxFileBytes } } = this.#options
    const name = this.acceptName(text)
    const current = 'folder' in upload ? fileAt(await metadata.files.findPlace(owner.id, name)) : announced
    const available = await this.#availableBytes(owner, current)
    const options = { maxBytes: Math.min(maxFileBytes, available), makeRoom: room.makerFor(owner.id) }
    try {
      const { id: blobId, size, sha256 } = await incoming.put(bytes, options)
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
    return room.withRoom(request.owner.id, () => request.mode === 'create'
      ? files.add(file, quota)
      : files.put(file, quota, request.precondition, request.lock))
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
    const found = isBlobId(id)
      ? await this.#options.metadata.kept.findVersion(ownerId, getName(name), id)
      : undefined
    if (found === undefined) throw new Problem('not_found')
    const { file, version: { size, type, sha256, storedAt, modifiedAt } } = found
    return { ...file, size, type, sha256, storedAt, modifiedAt, blobId: id, updatedAt: storedAt }
  }
}

/** The file of a name, or how many folders would be made for it. */
type Place = Awaited<ReturnType<Metadata['files']['findPlace']>>

/** The file of the name; undefined if there is none. */
export function fileAt (place: Place): FileRecord | undefined {
  return 'newFolders' in place ? undefined : place
}
