import type { Readable } from 'node:stream'
import { isBlobId, type BlobStore } from '../blobs/blob-store.ts'
import type { Conditions, Destination } from '../metadata/conditions.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { seconds } from '../metadata/preconditions.ts'
import type { AccountRecord, FilePage, FileRecord, FileSearch, FoundFiles, NewFile } from '../metadata/records.ts'
import type { StoreResult } from '../metadata/upload-records.ts'
import { Problem } from '../problems.ts'
import type { BlobCleanup } from './blob-cleanup.ts'
import type { DiskRoom } from './disk-room.ts'
import { openBytes, planDownload, redirectLarge, type DownloadPlan, type DownloadRequest } from './download.ts'
import type { IncomingBlobs } from './incoming-blobs.ts'
import { type StoreRequest, uploaderOf } from './incoming-file.ts'
import { createIncomingFiles, type IncomingFiles } from './incoming-files.ts'
import { getName } from './names.ts'
import type { Quotas } from './quotas.ts'
import { createUploadSpace, type UploadSpace } from './upload-space.ts'
import type { Uploader } from './uploader.ts'

interface FilesOptions {
  metadata: Metadata
  blobs: BlobStore
  cleanup: Pick<BlobCleanup, 'close'>
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

/** A stored file. `asked`: its name as it was asked for; by a link, the file may have another. */
interface Stored extends StoreResult { readonly asked: string }

/** Finds the file, or the version, of a download. */
export type FindFile = () => Promise<FileRecord>

interface Download { readonly plan: DownloadPlan, readonly bytes: Readable | Buffer | undefined }

/** The ownership rule: every method takes the owner, and files of other accounts do not exist. */
export class Files {
  readonly #options: FilesOptions
  readonly #space: UploadSpace
  readonly #incomingFiles: IncomingFiles

  constructor (options: FilesOptions) {
    this.#options = options
    this.#space = createUploadSpace(options)
    this.#incomingFiles = createIncomingFiles({ ...options, space: this.#space })
  }

  /**
   * Stores an upload: checks what is announced, reads the bytes to stable storage, then records the file. If anything
   * fails, nothing is stored. Creating a file that exists with the same bytes returns that file.
   * @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, link_limit_reached, storage_full,
   * name_taken, precondition_failed, file_locked, not_found if the account was deleted or the link ended meanwhile, and
   * what the upload throws.
   */
  async store (request: StoreRequest): Promise<Stored> {
    const received = await this.#incomingFiles.receive(request)
    const stored = await this.#options.incoming.commitWith(received.blobId, this.#record(request, received))
    return { ...stored, asked: received.name }
  }

  /** @throws not_found. */
  async get (ownerId: number, name: string): Promise<FileRecord> {
    const file = await this.#options.metadata.files.find(ownerId, getName(name))
    if (file === undefined) throw new Problem('not_found')
    return file
  }

  /**
   * What a download of a name finds: the file, or the version with the id `version`. The function that is returned
   * throws not_found.
   */
  finderOf (ownerId: number, name: string, version?: string): FindFile {
    return () => version === undefined ? this.#getWithPastDate(ownerId, name) : this.#getVersion(ownerId, name, version)
  }

  /**
   * Decides the response to a download, and opens the bytes only if some are to be sent. They stay complete even if the
   * file is replaced or deleted. The caller reads or destroys the stream, if it is one. `find` is called again if the
   * bytes of what it found are gone.
   * @throws file_damaged, and what `find` throws.
   */
  async download (find: FindFile, request: DownloadRequest): Promise<Download> {
    const { blobs, limits } = this.#options
    for (;;) {
      const file = await find()
      const planned = planDownload(request, file, Date.now())
      const seconds = request.door === undefined ? limits.redirectSeconds ?? 0 : 0
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

  /** @throws not_found if the folder does not exist. */
  async search (ownerId: number, search: FileSearch): Promise<FoundFiles> {
    return this.#options.metadata.files.search(ownerId, search)
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
    return metadata.files.rename(owner.id, file.name, newPath, quotas.of(owner), destination)
  }

  /**
   * Moves a file with its versions to the trash, or deletes them for good.
   * @throws not_found, precondition_failed, file_locked.
   */
  async remove (
    ownerId: number, name: string, removal: { precondition: Conditions, isPermanent: boolean }
  ): Promise<void> {
    const { metadata } = this.#options
    // Checked first: a transaction waits for other writers and empties the row cache, even if it changes nothing.
    const file = await this.get(ownerId, name)
    await metadata.files.remove(ownerId, file.name, removal)
  }

  /** The name of a new file, as it is stored; by a link, one segment. @throws name_invalid, extension_not_allowed. */
  acceptName (text: string, uploader?: Pick<Uploader, 'linkId'>): string {
    return this.#incomingFiles.acceptName(text, uploader)
  }

  /** Waits for the sweeps that were requested. */
  async close (): Promise<void> {
    this.#options.incoming.close()
    await this.#options.cleanup.close()
  }

  #record (request: StoreRequest, file: NewFile): Promise<StoreResult> {
    const { metadata: { files, links }, quotas } = this.#options
    const quota = quotas.of(request.owner)
    return this.#space.record(uploaderOf(request), () => {
      if (request.mode === 'link') return links.store(request.linkId, file, quota)
      return request.mode === 'create'
        ? files.add(file, quota)
        : files.put(file, quota, request.precondition, request.lock)
    })
  }

  /**
   * `Last-Modified` must not be in the future (RFC 9110 section 8.8.2.1), and must match when a client sends it back.
   * So a stored date is corrected after the clock was set back.
   */
  async #getWithPastDate (ownerId: number, name: string): Promise<FileRecord> {
    const { metadata } = this.#options
    const file = await this.get(ownerId, name)
    if (seconds(file.updatedAt) <= seconds(Date.now())) return file
    await metadata.files.correctDate(ownerId, file.name).catch(() => {})
    return this.get(ownerId, name)
  }

  /** A version as a file: its content is that of the version, and so is the date. */
  async #getVersion (ownerId: number, name: string, id: string): Promise<FileRecord> {
    const found = isBlobId(id)
      ? await this.#options.metadata.versions.find(ownerId, getName(name), id)
      : undefined
    if (found === undefined) throw new Problem('not_found')
    const { file, version: { size, type, sha256, storedAt, modifiedAt } } = found
    return { ...file, size, type, sha256, storedAt, modifiedAt, blobId: id, updatedAt: storedAt }
  }
}
