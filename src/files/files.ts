import type { Readable } from 'node:stream'
import { isBlobId, type BlobStore, type Reserve } from '../blobs/blob-store.ts'
import { type Metadata, OutcomeUnknown } from '../metadata/metadata.ts'
import { permits, type Precondition, seconds } from '../metadata/preconditions.ts'
import type { AccountRecord, FilePage, FileRecord, NewFile } from '../metadata/records.ts'
import { Problem, refuseSize } from '../problems.ts'
import type { BlobCleanup } from './blob-cleanup.ts'
import type { DiskRoom } from './disk-room.ts'
import { openBytes, planDownload, redirectLarge, type DownloadPlan, type DownloadRequest } from './download.ts'
import { createIncomingBlobs } from './incoming-blobs.ts'
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
export interface Upload {
  /** Name of the file; undefined if only the body tells it. */
  readonly name: string | undefined
  /** The file has at least this many bytes, as announced. */
  readonly minBytes: number
  /** The file has at most this many bytes, as announced. */
  readonly maxBytes: number
  /** Reads the whole body and calls `use` once, with its file. Rejects if `use` does or the body is wrong, even after `use` was called. */
  read (use: (file: IncomingFile) => Promise<void>): Promise<void>
}

/** `create` needs a free name; `put` also replaces a file, if the precondition permits it. */
export type StoreRequest = { readonly owner: AccountRecord, readonly upload: Upload } & (
  | { readonly mode: 'create' }
  | { readonly mode: 'put', readonly precondition: Precondition })

interface StoredFile { readonly file: FileRecord, readonly isNew: boolean }

/** The ownership rule: every method takes the owner, and files of other accounts do not exist. */
export interface Files {
  /**
   * Stores an upload: checks what is announced, reads the bytes to stable storage, then records the file. If anything fails,
   * nothing is stored. To create a file that exists with the same bytes is no error and returns that file.
   * @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, storage_full, name_taken, precondition_failed,
   * not_found if the account was deleted meanwhile, and what the upload throws.
   */
  store (request: StoreRequest): Promise<StoredFile>
  /** @throws not_found. */
  get (ownerId: number, name: string): Promise<FileRecord>
  /**
   * Decides the response to a download, and opens the bytes only if some are to be sent. They stay complete even if the file
   * is replaced or deleted. The caller reads or destroys the stream, if it is one. `request.version`: the id of a version, instead of
   * the file. @throws not_found, file_damaged.
   */
  download (ownerId: number, name: string, request: DownloadRequest & { version?: string | undefined }): Promise<{ plan: DownloadPlan, bytes: Readable | Buffer | undefined }>
  list (ownerId: number, page: FilePage): Promise<FileRecord[]>
  /** @throws not_found, name_invalid, extension_not_allowed, name_taken. */
  rename (ownerId: number, name: string, newName: string): Promise<FileRecord>
  /** Moves a file with its versions to the trash, or deletes them for good. @throws not_found, precondition_failed. */
  remove (ownerId: number, name: string, removal: { precondition: Precondition, isPermanent: boolean }): Promise<void>
  /** The name of a new file, as it is stored. @throws name_invalid, extension_not_allowed. */
  acceptName (text: string): string
  /** Requests the removal of deleted accounts and unreferenced bytes, in the background. What fails is tried again within a minute. */
  sweep (): void
  /** Waits for the sweeps that were requested. */
  close (): Promise<void>
}

/** The files of a store. `limits` are those of the settings. */
export function createFiles ({ metadata, blobs, reserve, cleanup, room, quotas, limits }: FilesOptions): Files {
  const incoming = createIncomingBlobs(metadata.blobs, blobs)

  function acceptedName (text: string): string {
    const name = fileName(text)
    const { allowedExtensions } = limits
    if (allowedExtensions !== undefined && !allowedExtensions.includes(extensionOf(name))) {
      throw new Problem('extension_not_allowed', { detail: `Allowed are: ${allowedExtensions.join(', ')}.` })
    }
    return name
  }

  /** Refuses what can't be stored as announced, so that the body need not be read. Returns the file to be replaced, if its name is known. */
  async function checkAnnounced (request: StoreRequest): Promise<FileRecord | undefined> {
    const { owner, upload: { name, minBytes, maxBytes } } = request
    if (name === undefined) {
      // The file may be a retry of one that is stored, which succeeds even if the quota is used up.
      if (!await metadata.files.hasOfSize(owner.id, { minBytes, maxBytes })) await checkLimits(owner, minBytes, undefined)
      return undefined
    }
    const current = await metadata.files.find(owner.id, acceptedName(name))
    if (request.mode === 'put' && !permits(request.precondition, current)) throw new Problem('precondition_failed')
    await checkLimits(owner, minBytes, current)
    return current
  }

  async function checkLimits (owner: AccountRecord, size: number, current: FileRecord | undefined): Promise<void> {
    if (size > limits.maxFileBytes) refuseSize(limits.maxFileBytes)
    await quotas.check(owner, { bytes: size - (current?.size ?? 0), files: current === undefined ? 1 : 0 })
    await room.requireSpace(size)
  }

  async function receive ({ owner, upload }: StoreRequest, { name: text, type, bytes }: IncomingFile, announced: FileRecord | undefined): Promise<NewFile> {
    const name = acceptedName(text)
    const available = await availableBytes(owner, upload.name === undefined ? await metadata.files.find(owner.id, name) : announced)
    try {
      const { id: blobId, size, sha256 } = await incoming.put(bytes, { maxBytes: Math.min(limits.maxFileBytes, available), makeRoom: room.makerFor(owner.id) })
      return { ownerId: owner.id, name, type: mediaTypeOf(name, type), blobId, isLeased: blobs.needsLeases, size, sha256 }
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'file_too_large' || available >= limits.maxFileBytes) throw error
      throw new Problem('quota_exceeded', { detail: `The quota leaves ${available} bytes for this file.`, cause: error })
    }
  }

  /** Bytes that the quota leaves for a file that replaces `current`. The same size always fits, for retries. */
  async function availableBytes (owner: AccountRecord, current: FileRecord | undefined): Promise<number> {
    const currentBytes = current?.size ?? 0
    return Math.max(currentBytes, await quotas.availableBytes(owner, currentBytes))
  }

  async function readUpload (request: StoreRequest): Promise<NewFile> {
    const current = await checkAnnounced(request)
    const received: NewFile[] = []
    try {
      await request.upload.read(async file => { received.push(await receive(request, file, current)) })
    } catch (error) {
      for (const { blobId } of received) await incoming.discard(blobId)
      throw error
    }
    return received[0] as NewFile
  }

  function record (request: StoreRequest, file: NewFile): Promise<StoredFile> {
    const quota = quotas.of(request.owner)
    return room.withRoom(request.owner.id, () => request.mode === 'create' ? metadata.files.add(file, quota) : metadata.files.put(file, quota, request.precondition))
  }

  /** Removes the received bytes unless the record refers to them. If the outcome is unknown they stay, and recovery decides. */
  async function commit (blobId: string, recording: Promise<StoredFile>): Promise<StoredFile> {
    const stored = await recording.catch(async (error: unknown) => {
      if (error instanceof OutcomeUnknown) incoming.leave(blobId)
      else await incoming.discard(blobId)
      throw error
    })
    if (stored.file.blobId === blobId) incoming.commit(blobId)
    else await incoming.discard(blobId)
    return stored
  }

  async function get (ownerId: number, name: string): Promise<FileRecord> {
    const stored = findFileName(name)
    const file = stored === undefined ? undefined : await metadata.files.find(ownerId, stored)
    if (file === undefined) throw new Problem('not_found')
    return file
  }

  /**
   * `Last-Modified` must not be in the future (RFC 9110 section 8.8.2.1), and must match when a client sends it back. So a
   * stored date is corrected after the clock was set back.
   */
  async function getWithPastDate (ownerId: number, name: string): Promise<FileRecord> {
    const file = await get(ownerId, name)
    if (seconds(file.updatedAt) <= seconds(Date.now())) return file
    await reserve.withSpace(() => metadata.files.correctDate(ownerId, file.name)).catch(() => {})
    return get(ownerId, name)
  }

  /** A version as a file: its content is that of the version, and so is the date. */
  async function getVersion (ownerId: number, name: string, id: string): Promise<FileRecord> {
    const stored = findFileName(name)
    const found = stored === undefined || !isBlobId(id) ? undefined : await metadata.kept.findVersion(ownerId, stored, id)
    if (found === undefined) throw new Problem('not_found')
    const { file, version: { size, type, sha256, storedAt } } = found
    return { ...file, size, type, sha256, storedAt, blobId: id, updatedAt: storedAt }
  }

  return {
    async store (request) {
      const received = await readUpload(request)
      const stored = await commit(received.blobId, record(request, received))
      // Bytes were replaced, or kept content was deleted for space.
      if ((request.mode === 'put' && !stored.isNew) || request.owner.keptBytes > 0) cleanup.sweep()
      return stored
    },

    get,

    async download (ownerId, name, request) {
      const find = () => request.version === undefined ? getWithPastDate(ownerId, name) : getVersion(ownerId, name, request.version)
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
    },

    acceptName: acceptedName,

    sweep: cleanup.sweep,

    list: (ownerId, page) => metadata.files.list(ownerId, page),

    async rename (ownerId, name, newName) {
      const file = await get(ownerId, name)
      return metadata.files.rename(ownerId, file.name, acceptedName(newName))
    },

    async remove (ownerId, name, removal) {
      // Checked first, because a transaction waits for other writers and empties the row cache, even if it changes nothing.
      const file = await get(ownerId, name)
      await reserve.withSpace(() => metadata.files.remove(ownerId, file.name, removal))
      cleanup.sweep()
    },

    async close () {
      incoming.close()
      await cleanup.close()
    }
  }
}
