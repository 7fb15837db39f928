import type { BlobStore } from '../blobs/blob-store.ts'
import type { DiskRoom } from '../files/disk-room.ts'
import type { Quotas } from '../files/quotas.ts'
import type { Precondition } from '../metadata/preconditions.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { UploadProgress, UploadRecord } from '../metadata/uploads-repository.ts'
import { Problem, refuseSize } from '../problems.ts'
import { createContentDigests, type ContentDigests, type WatchedBytes } from './content-digests.ts'
import type { SaveProgress } from './progress.ts'
import { untilAborted } from './turns.ts'

/** Bytes to be added to an upload. */
export interface UploadAppend {
  /** Where they begin. */
  readonly offset: number
  readonly bytes: AsyncIterable<Buffer>
  /** Their number, if it is announced. */
  readonly announcedBytes: number | undefined
  /** The length of the file, if this request announces it. */
  readonly length: number | undefined
  /** Whether the file ends with these bytes. */
  readonly isLast: boolean
  /**
   * Throws if the bytes, when they have ended, do not match their digest. Undefined if none was announced; with one, bytes are kept all
   * or not at all.
   */
  readonly confirm: (() => void) | undefined
  /** `Repr-Digest` of the file, once the bytes have ended: it may be a trailer field. */
  readonly reprDigest?: () => string | undefined
  /** Replaces the recorded precondition (ranged `PUT` only). */
  readonly precondition?: Precondition
  /** Aborted when the client is gone. */
  readonly clientGone?: AbortSignal
}

/**
 * The end of an upload: `watched` are its last bytes, and `reprDigest` is the field of the request that sent them. `signal` ends the
 * verification of the bytes, with its reason.
 */
export interface Ending { readonly progress: UploadProgress, readonly watched?: WatchedBytes, readonly reprDigest?: string | undefined, readonly signal: AbortSignal }

interface ReceiverOptions {
  blobs: BlobStore
  room: Pick<DiskRoom, 'makerFor'>
  quotas: Quotas
  maxFileBytes: number
  save: SaveProgress
  /** @throws not_found if the upload has ended. */
  checkCurrent: (owner: AccountRecord, upload: UploadRecord) => Promise<unknown>
  end: (owner: AccountRecord, id: string) => Promise<void>
}

interface Reception { readonly length: number | null, readonly append: UploadAppend, readonly signal: AbortSignal }

/** What an append has received, on stable storage, but not recorded yet. */
export interface Received { readonly progress: UploadProgress, readonly watched: WatchedBytes }

/** Receives the bytes of uploads. */
export interface Receiver extends Pick<ContentDigests, 'verify' | 'cacheDigest'> {
  /** The length that upload and request agree on; null while it is unknown. @throws upload_length_inconsistent, file_too_large, quota_exceeded. */
  agreeOnLength (owner: AccountRecord, upload: UploadRecord, append: UploadAppend): Promise<number | null>
  /**
   * Appends bytes to an upload that the request has taken over. If the bytes fail, what arrived is recorded.
   * @throws upload_length_inconsistent beyond the length, and then the upload ends; file_too_large, quota_exceeded.
   */
  receive (owner: AccountRecord, upload: UploadRecord, reception: Reception): Promise<Received>
  /** The same at the end of the upload, where no bytes may follow. @throws upload_completed if the request has some. */
  receiveEnd (owner: AccountRecord, upload: UploadRecord, reception: Reception): Promise<Pick<Received, 'progress'> & Partial<Received>>
}

export const noBytes: Pick<UploadAppend, 'bytes' | 'confirm'> = { bytes: { async * [Symbol.asyncIterator] () {} }, confirm: undefined }

export function createReceiver ({ blobs, room, quotas, maxFileBytes, save, checkCurrent, end }: ReceiverOptions): Receiver {
  const digests = createContentDigests(blobs)

  /** Bytes beyond the length end the upload. */
  async function refuseExcess (owner: AccountRecord, { id }: UploadRecord, cause?: unknown): Promise<never> {
    await end(owner, id)
    throw new Problem('upload_length_inconsistent', { detail: 'There are more bytes than announced; the upload has ended.', cause })
  }

  async function receive (owner: AccountRecord, upload: UploadRecord, { length, append, signal }: Reception): Promise<Received> {
    // The length of an upload without more bytes is recorded with its file: until then a crash must leave it unknown.
    if (length !== upload.length && length !== upload.offset) await save(owner, upload, { ...progressOf(upload), length, isAppending: true })
    const maxBytes = length ?? Math.min(maxFileBytes, await quotas.availableBytes(owner, upload.offset))
    const watched = digests.watch(upload, untilAborted(append, signal))
    const saveDraft = async ({ size, state }: { size: number, state: string | null }) => {
      // The last offset is recorded with the file, in one transaction.
      if (size === length) return false
      await save(owner, upload, { offset: size, state, length, isAppending: true })
      digests.cacheDigest(upload, watched, size)
      return true
    }
    try {
      const { size, state } = await blobs.append(upload.blobId, { size: upload.offset, state: upload.state }, watched.bytes, {
        maxBytes,
        makeRoom: room.makerFor(owner.id),
        checkCurrent: () => checkCurrent(owner, upload),
        // Bytes with a digest are kept all or not at all.
        ...(append.confirm === undefined ? { save: saveDraft } : { reserve: saveDraft })
      })
      return { progress: { offset: size, state, length }, watched }
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'file_too_large') throw error
      if (length !== null) return await refuseExcess(owner, upload, error)
      if (maxBytes < maxFileBytes) throw new Problem('quota_exceeded', { detail: `The quota leaves ${maxBytes} bytes for this file.`, cause: error })
      throw error
    }
  }

  return {
    verify: digests.verify,

    cacheDigest: digests.cacheDigest,

    async agreeOnLength (owner, upload, { offset, announcedBytes, length, isLast }) {
      const known = new Set<number>()
      if (upload.length !== null) known.add(upload.length)
      if (length !== undefined) known.add(length)
      // A request that contradicts itself changes nothing.
      if (known.size > 1) throw new Problem('upload_length_inconsistent')
      const [agreed] = known
      if (agreed !== undefined && agreed < upload.offset) throw new Problem('upload_length_inconsistent', { detail: `The upload has ${upload.offset} bytes already.` })
      // Bytes after the last one are refused as they are where an upload is complete.
      if (agreed !== undefined && offset < agreed && offset + (announcedBytes ?? 0) > agreed) return refuseExcess(owner, upload)
      if (isLast && announcedBytes !== undefined && agreed !== offset) known.add(offset + announcedBytes)
      if (known.size > 1) throw new Problem('upload_length_inconsistent')
      const [final = null] = known
      if (upload.length === null && (final ?? offset + (announcedBytes ?? 0)) > maxFileBytes) refuseSize(maxFileBytes)
      // If the length is known, it is checked against the quota when it is recorded, also before bytes are read.
      if (final === null) await quotas.check(owner, { bytes: announcedBytes ?? 0, files: 0 })
      return final
    },

    receive,

    async receiveEnd (owner, upload, { length, append, signal }) {
      await requireEmpty(append, signal)
      if (upload.length === length) return { progress: progressOf(upload) }
      // While the length was unknown, a failed append may have left bytes after the offset. Receiving removes them.
      return receive(owner, upload, { length, append: { ...append, ...noBytes }, signal })
    }
  }
}

const progressOf = ({ offset, state, length }: UploadRecord): UploadProgress => ({ offset, state, length })

/** What the refusal of an append says about the upload. */
export function offsetFields ({ offset, result }: UploadRecord): Record<string, string> {
  return { 'upload-offset': String(offset), 'upload-complete': result === undefined ? '?0' : '?1' }
}

/** @throws upload_offset_mismatch, with the offset of the upload. */
export function requireOffset (upload: UploadRecord, provided: number): void {
  const { offset } = upload
  if (provided === offset) return
  throw new Problem('upload_offset_mismatch', {
    detail: `The upload has ${offset} bytes, and the request begins at ${provided}.`,
    members: { 'expected-offset': offset, 'provided-offset': provided },
    headers: offsetFields(upload)
  })
}

/** All bytes are there, but the file is refused. */
export function refusal (offset: number): Problem {
  return new Problem('precondition_failed', { headers: { 'upload-offset': String(offset), 'upload-complete': '?1' } })
}

/** @throws upload_completed if the request has bytes. */
export async function requireEmpty (append: UploadAppend, signal: AbortSignal): Promise<void> {
  if ((append.announcedBytes ?? 0) > 0) throw new Problem('upload_completed')
  for await (const chunk of untilAborted(append, signal)) if (chunk.length > 0) throw new Problem('upload_completed')
}
