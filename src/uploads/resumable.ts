import { createBlobId, isBlobId } from '../blobs/blob-writer.ts'
import { algorithmsIn } from '../files/digests.ts'
import type { Files } from '../files/files.ts'
import type { Uploader } from '../files/incoming-file.ts'
import { mediaTypeOf } from '../files/names.ts'
import { isUnconditional, permits } from '../metadata/preconditions.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { ListedUpload, NewUpload, UploadRecord } from '../metadata/upload-records.ts'
import { Problem, refuseSize } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { createContentDigests } from './content-digests.ts'
import { createSession, noBytes, offsetFields, type UploadAppend, type UploadSession } from './upload-session.ts'

/** Unfinished uploads of an account. */
const MAX_UPLOADS = 1000

/** What is stored as it was sent. */
type SentFacts = Pick<
  NewUpload, 'length' | 'method' | 'precondition' | 'uploadMetadata' | 'reprDigest' | 'modifiedAt'
>

/** A request to create an upload. */
export interface UploadCreation extends SentFacts {
  readonly uploader: Uploader
  /** If undefined, the file is called like the upload's id. */
  readonly name: string | undefined
  readonly type: string | undefined
  /** Bytes that follow and are to be appended; undefined if their number is not known. */
  readonly announcedBytes: number | undefined
}

/** The limits of uploads for clients: bytes, and seconds since the last byte. */
export interface UploadLimits { readonly maxBytes: number, readonly maxAgeSeconds: number }

/** The latest request about an upload. */
interface LatestRequest { readonly controller: AbortController, readonly ended: Promise<void> }

export type ResumableUploads = ReturnType<typeof createResumableUploads>

/**
 * Uploads that survive lost connections and restarts, whatever protocol their clients speak. `stopping` ends all
 * running appends once their bytes are committed.
 */
export function createResumableUploads ({ metadata, blobs, space, linkUses, files, config, stopping }:
Pick<AppServices, 'metadata' | 'blobs' | 'space' | 'linkUses' | 'stopping'> & {
  readonly files: Pick<Files, 'acceptName'>
  readonly config: Pick<AppServices['config'], 'maxFileBytes' | 'uploadExpiryHours'>
}) {
  const { maxFileBytes } = config
  const maxAgeSeconds = config.uploadExpiryHours * 3600
  const lifetimeMilliseconds = maxAgeSeconds * 1000
  const digests = createContentDigests(blobs)
  const sessionOptions = { metadata, blobs, space, linkUses, digests, maxFileBytes, lifetimeMilliseconds }
  const latest = new Map<string, LatestRequest>()

  stopping.addEventListener('abort', () => {
    for (const { controller } of latest.values()) controller.abort(stopping.reason)
  })

  async function checkCreation (creation: UploadCreation, name: string): Promise<void> {
    const { uploader, length, announcedBytes = 0, reprDigest } = creation
    const allowance = space.of(uploader)
    // Refuses a malformed one.
    algorithmsIn(reprDigest ?? undefined)
    const leastBytes = length ?? announcedBytes
    if (leastBytes > maxFileBytes) refuseSize(maxFileBytes)
    if (length === null) await allowance.check({ bytes: announcedBytes, files: 0 })
    // By a link, a free name is found at the end.
    if (uploader.linkId === null) await requireFree(creation, name)
    await allowance.requireDisk(leastBytes)
  }

  /** @throws precondition_failed if it is certain that the file will be refused. */
  async function requireFree (
    { uploader: { owner }, length, method, precondition }: UploadCreation, name: string
  ): Promise<void> {
    const { file: current } = await metadata.files.findPlace(owner.id, name)
    // A file with the same bytes is no conflict. A different length proves that the bytes differ.
    const isRefused = method === 'POST' && isUnconditional(precondition)
      ? current !== undefined && length !== null && length !== current.size
      : !permits(precondition, current)
    if (isRefused) throw new Problem('precondition_failed')
  }

  /** Aborts the running request about this upload, waits for its end, and runs `work`. The next request aborts that. */
  async function takeOver<T> (
    uploader: Uploader, id: string, work: (session: UploadSession) => Promise<T>
  ): Promise<T> {
    if (!isBlobId(id)) throw new Problem('not_found')
    // One account can't interrupt another's upload, and a link neither.
    const key = `${uploader.owner.id} ${uploader.linkId} ${id}`
    const before = latest.get(key)
    before?.controller.abort(new Problem('upload_taken_over'))
    const controller = new AbortController()
    if (stopping.aborted) controller.abort(stopping.reason)
    const session = createSession(sessionOptions, { uploader, id, signal: controller.signal })
    const result = (before?.ended ?? Promise.resolve()).then(() => work(session))
    const request: LatestRequest = {
      controller,
      ended: result.catch(() => {}).then(() => { if (latest.get(key) === request) latest.delete(key) })
    }
    latest.set(key, request)
    return result
  }

  /**
   * The offset on stable storage. Ends a running append once its bytes are committed.
   * @throws not_found, precondition_failed if all bytes are there and the file was refused.
   */
  function offset (uploader: Uploader, id: string, clientGone?: AbortSignal): Promise<UploadRecord> {
    return takeOver(uploader, id, session => session.complete(clientGone))
  }

  /**
   * Appends bytes, and ends a running append. After the last byte, one transaction ends the upload and adds the file.
   * An empty append at the full offset retries that, or returns the stored file.
   * @throws not_found, upload_offset_mismatch, upload_length_inconsistent, upload_completed, upload_taken_over,
   * file_too_large, quota_exceeded, link_limit_reached, digest_mismatch, precondition_failed, storage_full, and what
   * `bytes` throws, once the bytes before are committed.
   */
  function append (uploader: Uploader, id: string, append: UploadAppend): Promise<UploadRecord> {
    return takeOver(uploader, id, session => session.append(append).catch(async (error: unknown) => {
      if (!(error instanceof Problem) || error.code !== 'upload_taken_over') throw error
      // With the committed offset, which the next append can use.
      throw new Problem('upload_taken_over', { headers: offsetFields(await session.read()), cause: error })
    }))
  }

  return {
    /** For clients. */
    limits: { maxBytes: maxFileBytes, maxAgeSeconds } satisfies UploadLimits,
    offset,
    append,

    /**
     * Creates an upload with offset 0. If its length and its content are 0 bytes, it is complete at once.
     * @throws name_invalid, extension_not_allowed, name_taken, file_too_large, quota_exceeded, link_limit_reached,
     * too_many_uploads, precondition_failed if it is certain, digest_malformed, storage_full.
     */
    async create (creation: UploadCreation): Promise<UploadRecord> {
      const { uploader, announcedBytes, ...sent } = creation
      const { owner, linkId, onlyName } = uploader
      const id = createBlobId()
      const name = files.acceptName(sent.name ?? onlyName ?? id, uploader)
      await checkCreation(creation, name)
      const type = mediaTypeOf(name, sent.type)
      const added = { ...sent, id, ownerId: owner.id, linkId, name, type, blobId: createBlobId(), lifetimeMilliseconds }
      const limits = { maxUploads: MAX_UPLOADS, quota: space.quotaOf(owner) }
      const upload = await space.of(uploader).record(() => metadata.uploads.add(added, limits))
      if (sent.length !== 0 || announcedBytes !== 0) return upload
      return append(uploader, id, { ...noBytes, offset: 0, length: undefined, isLast: true })
    },

    /** Reads the upload; a running append continues. @throws not_found, precondition_failed as `offset`. */
    async get (uploader: Uploader, id: string, clientGone?: AbortSignal): Promise<UploadRecord> {
      const { owner, linkId } = uploader
      const upload = isBlobId(id) ? await metadata.uploads.find(owner.id, id, linkId) : undefined
      if (upload === undefined) throw new Problem('not_found')
      if (upload.result !== undefined || upload.offset !== upload.length) return upload
      return offset(uploader, id, clientGone)
    },

    /** The newest unfinished upload of this name that was created by `PUT`, for ranged `PUT`. */
    async findByName (owner: AccountRecord, name: string): Promise<ListedUpload | undefined> {
      const [upload] = await metadata.uploads.list(owner.id, { name, method: 'PUT', before: undefined, limit: 1 })
      return upload
    },

    /** Ends an upload. A file that it became stays. @throws not_found. */
    cancel: (uploader: Uploader, id: string): Promise<void> => takeOver(uploader, id, session => session.end()),

    /** Waits for the requests in progress. */
    async close (): Promise<void> {
      await Promise.all(Array.from(latest.values(), ({ ended }) => ended))
    }
  }
}
