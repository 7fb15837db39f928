import { type Draft, Superseded } from '../blobs/blob-store.ts'
import { complete } from '../blobs/blob-writer.ts'
import type { RunningDigest } from '../files/digests.ts'
import type { Uploader } from '../files/incoming-file.ts'
import type { Precondition } from '../metadata/preconditions.ts'
import type { TakeOver, UploadProgress, UploadRecord } from '../metadata/upload-records.ts'
import { type FailureCode, Problem, refuseSize } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { type PartialBody, untilAborted } from './body.ts'
import type { ContentDigests } from './content-digests.ts'

/** Bytes to be added to an upload. With a digest, they are kept all or not at all. */
export interface UploadAppend extends PartialBody {
  /** Where they begin. */
  readonly offset: number
  /** The length of the file, if this request announces it. */
  readonly length: number | undefined
  /** Whether the file ends with these bytes. */
  readonly isLast: boolean
  /** Replaces the recorded precondition (ranged `PUT` only). */
  readonly precondition?: Precondition
  /** Replaces the recorded time, if it is told (ranged `PUT` only). */
  readonly modifiedAt?: number | null
  /** Aborted when the client is gone. */
  readonly clientGone?: AbortSignal
}

/** What the sessions of all uploads share. */
export interface SessionOptions extends Pick<AppServices, 'metadata' | 'blobs' | 'space' | 'linkUses'> {
  readonly digests: ContentDigests
  readonly maxFileBytes: number
  readonly lifetimeMilliseconds: number
}

/** `signal`: aborted with `upload_taken_over` when the next request comes. */
interface SessionRequest { readonly uploader: Uploader, readonly id: string, readonly signal: AbortSignal }

/** The last bytes, the `Repr-Digest` sent with them, and the signal that aborts their verification. */
interface Ending {
  readonly digest?: RunningDigest | undefined
  readonly reprDigest?: string | undefined
  readonly signal: AbortSignal
}

/** The upload with its bytes, which are on stable storage, and their digest if it is known. */
interface Received { readonly received: UploadRecord, readonly digest: RunningDigest | undefined }

/** Problems of a request whose upload another process has taken over, completed or cancelled. */
const SUPERSEDED = ['upload_taken_over', 'not_found']

/** Failures that the client can mend, and then ask for the file again. */
const REFUSALS = ['name_taken', 'quota_exceeded', 'link_limit_reached', 'file_locked']

/** A request without content. */
export const noBytes: PartialBody = {
  announcedBytes: 0,
  bytes: { async * [Symbol.asyncIterator] () {} },
  isChecked: false,
  confirm () {},
  reprDigest: () => undefined
}

export type UploadSession = ReturnType<typeof createSession>

/** One request about an upload, while no other one is in progress in this process. */
export function createSession (
  { metadata: { uploads }, blobs, space, linkUses, digests, maxFileBytes, lifetimeMilliseconds }: SessionOptions,
  { uploader, id, signal }: SessionRequest
) {
  const { owner, linkId, onlyName = null } = uploader
  const allowance = space.of(uploader)
  const quota = space.quotaOf(owner)

  /** Ends the upload. @throws not_found. */
  function end (): Promise<void> {
    return uploads.remove(owner.id, id, linkId)
  }

  /** Reads the upload. @throws not_found. */
  async function read (): Promise<UploadRecord> {
    const upload = await uploads.find(owner.id, id, linkId)
    if (upload === undefined) throw new Problem('not_found')
    return upload
  }

  /** Reads the upload once its offset is final: takes it over from an append that is running or whose process died. */
  async function settle (): Promise<UploadRecord> {
    const upload = await read()
    return upload.isAppending ? takeOver({ isAppending: false }) : upload
  }

  function takeOver (wanted: Pick<TakeOver, 'isAppending' | 'precondition' | 'modifiedAt'>): Promise<UploadRecord> {
    return uploads.takeOver(owner.id, id, { ...wanted, linkId, lifetimeMilliseconds })
  }

  /**
   * The length that upload and request agree on; null while it is unknown.
   * @throws upload_length_inconsistent, file_too_large, quota_exceeded, link_limit_reached.
   */
  async function agreeOnLength (
    upload: UploadRecord, { offset, announcedBytes, length, isLast }: UploadAppend
  ): Promise<number | null> {
    const known = new Set([upload.length, length].filter(each => typeof each === 'number'))
    // A request that contradicts itself changes nothing.
    if (known.size > 1) throw new Problem('upload_length_inconsistent')
    const [agreed] = known
    if (agreed !== undefined && agreed < upload.offset) {
      throw new Problem('upload_length_inconsistent', { detail: `The upload has ${upload.offset} bytes already.` })
    }
    const end = offset + (announcedBytes ?? 0)
    // Bytes after the end: the same error as for a complete upload.
    if (agreed !== undefined && offset < agreed && end > agreed) return refuseExcess()
    if (isLast && announcedBytes !== undefined && agreed !== offset) known.add(end)
    if (known.size > 1) throw new Problem('upload_length_inconsistent')
    const [final = null] = known
    if (upload.length === null && (final ?? end) > maxFileBytes) refuseSize(maxFileBytes)
    // If the length is known, it is checked against the quota when it is recorded, also before bytes are read.
    if (final === null) await allowance.check({ bytes: announcedBytes ?? 0, files: 0 })
    return final
  }

  /** Bytes beyond the length end the upload. */
  async function refuseExcess (cause?: Problem): Promise<never> {
    await end()
    const detail = 'There are more bytes than announced; the upload has ended.'
    throw new Problem('upload_length_inconsistent', { detail, cause })
  }

  /**
   * Receives bytes. If they fail, what arrived is recorded. The length is known once all have arrived.
   * @throws upload_length_inconsistent beyond the length, and then the upload ends; file_too_large, quota_exceeded,
   * link_limit_reached.
   */
  async function receive (upload: UploadRecord, append: UploadAppend, length: number | null): Promise<Received> {
    const { offset, state } = upload
    // If no bytes follow, the length is saved with the file.
    if (length !== upload.length && length !== offset) {
      await save(upload, { offset, state, length }, { isAppending: true })
    }
    const limit = await allowance.limitOf(offset, length)
    const maxBytes = Math.min(limit.bytes, length ?? Infinity)
    const digest = digests.start(upload)
    const bytes = untilAborted(append, signal)

    const progressOf = ({ size, state }: Draft, { isLast }: { isLast: boolean }): UploadProgress =>
      ({ offset: size, state, length: length ?? (append.isLast && isLast ? size : null) })

    const record = async (draft: Draft, { isLast }: { isLast: boolean }) => {
      const progress = progressOf(draft, { isLast })
      const isWhole = progress.offset === progress.length
      // The last offset is recorded with the file. A draft with a state is saved before that: `finish` needs it, and
      // may be repeated.
      if (isWhole && !(isLast && draft.state !== null)) return false
      try {
        await save(upload, progress, { isAppending: isWhole || !isLast })
      } catch (error) {
        if (!(error instanceof Problem) || !SUPERSEDED.includes(error.code)) throw error
        // Read again: the answer to an earlier attempt to save may have been lost, and then its bytes are in use.
        const current = await uploads.find(owner.id, id, linkId)
        throw new Superseded(current && { size: current.offset, state: current.state }, { cause: error })
      }
      digests.cache(upload, digest, draft.size)
      return true
    }

    try {
      const { leavesDouble, freeDisk } = allowance.disk
      const options = { maxBytes, leavesDouble, isAtomic: append.isChecked }
      const write = blobs.drafts.append(upload.blobId, { size: offset, state }, digest?.watch(bytes) ?? bytes, options)
      const draft = await complete(write, { record, check: read, freeDisk })
      return { received: { ...upload, ...progressOf(draft, { isLast: true }) }, digest }
    } catch (error) {
      if (error instanceof Superseded) throw error.cause
      if (!(error instanceof Problem) || error.code !== 'file_too_large') throw error
      return await (maxBytes === length ? refuseExcess(error) : limit.refuse(error))
    }
  }

  /**
   * Records what has arrived, also on a full disk.
   * @throws upload_taken_over, not_found, quota_exceeded, link_limit_reached, storage_full.
   */
  function save (upload: UploadRecord, progress: UploadProgress, at: { isAppending: boolean }): Promise<void> {
    const change = { ...upload, ...progress, lifetimeMilliseconds }
    return allowance.record(() => uploads.save(change, { ...at, quota }))
  }

  /**
   * Makes a file of an upload whose bytes are all there. If that fails for now, the bytes are kept.
   * @throws precondition_failed; digest_mismatch, and then the upload ends.
   */
  async function store (upload: UploadRecord, { digest, reprDigest, signal }: Ending): Promise<UploadRecord> {
    const { blobId, offset: size, state } = upload
    const whole = { offset: size, state, length: size }
    await blobs.drafts.finish(blobId, { size, state })
    const finish = async () => {
      const reprDigests = [upload.reprDigest ?? undefined, reprDigest]
      const sha256 = await digests.verify(upload, { size, state }, { digest, reprDigests, signal })
      const change = { ...upload, ...whole, lifetimeMilliseconds }
      return allowance.record(() => uploads.finish(change, { sha256, quota }))
    }
    const stored = await finish().catch(async (error: unknown) => {
      if (error instanceof Problem && error.code === 'digest_mismatch') {
        await end()
        throw error
      }
      // Records the full offset, so that the next request continues here.
      await save(upload, whole, { isAppending: true }).catch(() => {})
      if (!(error instanceof Problem) || !REFUSALS.includes(error.code)) throw error
      // By a link, there may be no space for what has arrived either.
      throw (await read()).offset === size ? refusal(size, error.code, error) : error
    })
    if (stored === undefined) throw refusal(size)
    if (linkId !== null && onlyName === null) linkUses.add(linkId, stored.file.createdAt)
    return { ...upload, ...whole, result: stored }
  }

  return {
    end,
    read,

    /** Returns the upload. If all bytes have arrived, first stores the file, or throws why it was refused. */
    async complete (clientGone: AbortSignal | undefined): Promise<UploadRecord> {
      const upload = await settle()
      if (upload.result !== undefined || upload.offset !== upload.length) return upload
      if (upload.isRefused) throw refusal(upload.offset)
      // The process that received the last bytes could not store the file.
      const current = await takeOver({ isAppending: true })
      return current.result === undefined ? store(current, { signal: anyOf(signal, clientGone) }) : current
    },

    /** Appends bytes, and stores the file if they are the last. */
    async append (append: UploadAppend): Promise<UploadRecord> {
      const repeat = (upload: UploadRecord) => requireEmpty(append, signal).then(() => upload)
      const found = await settle()
      requireOffset(found, append.offset)
      if (found.result !== undefined) return repeat(found)
      const length = await agreeOnLength(found, append)
      const { precondition, modifiedAt } = append
      const upload = await takeOver({ isAppending: true, precondition, modifiedAt })
      // Another process may have been faster.
      requireOffset(upload, append.offset)
      if (upload.result !== undefined) return repeat(upload)
      const storeReceived = ({ received, digest }: Received) => store(received, {
        digest, reprDigest: append.reprDigest(), signal: anyOf(signal, append.clientGone)
      })
      // An empty file goes through `receive` too, which creates its blob.
      if (upload.offset === length && length > 0) {
        await requireEmpty(append, signal)
        if (upload.offset === upload.length) return storeReceived({ received: upload, digest: undefined })
        // While the length was unknown, a failed append may have left bytes after the offset. Receiving removes them.
        return storeReceived(await receive(upload, { ...append, ...noBytes }, length))
      }
      const arrived = await receive(upload, append, length)
      if (arrived.received.offset === arrived.received.length) return storeReceived(arrived)
      if (append.isLast) throw new Problem('upload_length_inconsistent')
      return arrived.received
    }
  }
}

/** All bytes are there, but the file is refused. */
function refusal (offset: number, code: FailureCode = 'precondition_failed', cause?: Problem): Problem {
  const headers = { 'upload-offset': String(offset), 'upload-complete': '?1' }
  return new Problem(code, { ...cause?.options, cause, headers })
}

/** Aborted when one of the signals is. */
function anyOf (...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter(signal => signal !== undefined))
}

/** The headers of a refused append: the state of the upload. */
export function offsetFields ({ offset, result }: UploadRecord): Record<string, string> {
  return { 'upload-offset': String(offset), 'upload-complete': result === undefined ? '?0' : '?1' }
}

/** @throws upload_offset_mismatch, with the offset of the upload. */
function requireOffset (upload: UploadRecord, provided: number): void {
  const { offset } = upload
  if (provided === offset) return
  throw new Problem('upload_offset_mismatch', {
    detail: `The upload has ${offset} bytes, and the request begins at ${provided}.`,
    members: { 'expected-offset': offset, 'provided-offset': provided },
    headers: offsetFields(upload)
  })
}

/** @throws upload_completed if the request has bytes. */
async function requireEmpty (append: UploadAppend, signal: AbortSignal): Promise<void> {
  if ((append.announcedBytes ?? 0) > 0) throw new Problem('upload_completed')
  for await (const chunk of untilAborted(append, signal)) if (chunk.length > 0) throw new Problem('upload_completed')
}
