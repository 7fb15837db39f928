import { type BlobStore, type Draft, Superseded } from '../blobs/blob-store.ts'
import { complete } from '../blobs/blob-writer.ts'
import type { Uploader } from '../files/incoming-file.ts'
import type { Allowance, Space, UploadLimit } from '../files/space.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { TakeOver, UploadChange, UploadProgress, UploadRecord } from '../metadata/upload-records.ts'
import { type FailureCode, Problem, refuseSize } from '../problems.ts'
import type { ContentDigests, WatchedBytes } from './content-digests.ts'
import { either, noBytes, requireEmpty, requireOffset, untilAborted, type UploadAppend } from './upload-append.ts'

/** What all sessions share. */
export interface SessionOptions {
  readonly metadata: Pick<Metadata, 'uploads'>
  readonly blobs: BlobStore
  readonly space: Space
  readonly digests: ContentDigests
  readonly maxFileBytes: number
  readonly lifetimeMilliseconds: number
}

/** `receiving`: bytes are missing. `received`: complete, but not yet a file. `refused`: by its precondition. */
type State = 'receiving' | 'received' | 'refused' | 'stored'

function stateOf ({ offset, length, result, isRefused }: UploadRecord): State {
  if (result !== undefined) return 'stored'
  if (offset !== length) return 'receiving'
  return isRefused ? 'refused' : 'received'
}

/** The last bytes, the `Repr-Digest` sent with them, and the signal that aborts their verification. */
interface Ending {
  readonly watched?: WatchedBytes | undefined
  readonly reprDigest?: string | undefined
  readonly signal: AbortSignal
}

/** The upload with its bytes, which are on stable storage. */
interface Received { readonly received: UploadRecord, readonly watched: WatchedBytes, readonly isComplete: boolean }

/** Problems of a request whose upload another process has taken over, completed or cancelled. */
const SUPERSEDED = ['upload_taken_over', 'not_found']

/** Failures that the client can mend, and then ask for the file again. */
const REFUSALS = ['name_taken', 'quota_exceeded', 'link_limit_reached', 'file_locked']

/** One request about an upload, while no other one is in progress in this process. */
export class UploadSession {
  readonly #options: SessionOptions
  readonly #uploader: Uploader
  readonly #allowance: Allowance
  readonly #id: string
  /** Aborted with `upload_taken_over` when the next request comes. */
  readonly #signal: AbortSignal

  constructor (
    options: SessionOptions, { uploader, id, signal }: { uploader: Uploader, id: string, signal: AbortSignal }
  ) {
    this.#options = options
    this.#uploader = uploader
    this.#allowance = options.space.of(uploader)
    this.#id = id
    this.#signal = signal
  }

  /** Ends the upload. @throws not_found. */
  async end (): Promise<void> {
    const { owner, linkId } = this.#uploader
    await this.#options.metadata.uploads.remove(owner.id, this.#id, linkId)
  }

  /** Returns the upload. If all bytes have arrived, first stores the file, or throws why it was refused. */
  async complete (clientGone: AbortSignal | undefined): Promise<UploadRecord> {
    const upload = await this.#settle()
    const state = stateOf(upload)
    if (state === 'refused') throw refusal(upload.offset)
    if (state !== 'received') return upload
    // The process that received the last bytes could not store the file.
    const current = await this.#takeOver({ isAppending: true })
    return stateOf(current) === 'stored' ? current : this.#store(current, { signal: either(this.#signal, clientGone) })
  }

  /** Appends bytes, and stores the file if they are the last. */
  async append (append: UploadAppend): Promise<UploadRecord> {
    const found = await this.#settle()
    requireOffset(found, append.offset)
    const repeat = (upload: UploadRecord) => requireEmpty(append, this.#signal).then(() => upload)
    if (stateOf(found) === 'stored') return repeat(found)
    const length = await this.#agreeOnLength(found, append)
    const { precondition, modifiedAt } = append
    const upload = await this.#takeOver({ isAppending: true, precondition, modifiedAt })
    // Another process may have been faster.
    requireOffset(upload, append.offset)
    if (stateOf(upload) === 'stored') return repeat(upload)
    const signal = either(this.#signal, append.clientGone)
    const store = (whole: UploadRecord, watched?: WatchedBytes) =>
      this.#store(whole, { watched, reprDigest: append.reprDigest?.(), signal })
    // An empty file goes through `#receive` too, which creates its blob.
    if (upload.offset === length && length > 0) {
      await requireEmpty(append, this.#signal)
      if (stateOf(upload) !== 'receiving') return store(upload)
      // While the length was unknown, a failed append may have left bytes after the offset. Receiving removes them.
      const { received, watched } = await this.#receive(upload, { ...append, ...noBytes }, length)
      return store(received, watched)
    }
    const { received, watched, isComplete } = await this.#receive(upload, append, length)
    if (isComplete) return store({ ...received, length: received.offset }, watched)
    if (append.isLast) throw new Problem('upload_length_inconsistent')
    return received
  }

  /** Reads the upload once its offset is final: takes it over from an append that is running or whose process died. */
  async #settle (): Promise<UploadRecord> {
    const upload = await this.read()
    return upload.isAppending ? this.#takeOver({ isAppending: false }) : upload
  }

  /** Reads the upload. @throws not_found. */
  async read (): Promise<UploadRecord> {
    const upload = await this.#find()
    if (upload === undefined) throw new Problem('not_found')
    return upload
  }

  #find (): Promise<UploadRecord | undefined> {
    const { owner, linkId } = this.#uploader
    return this.#options.metadata.uploads.find(owner.id, this.#id, linkId)
  }

  async #takeOver (wanted: Pick<TakeOver, 'isAppending' | 'precondition' | 'modifiedAt'>): Promise<UploadRecord> {
    const { metadata, lifetimeMilliseconds } = this.#options
    const { owner, linkId } = this.#uploader
    const to = { ...wanted, linkId, lifetimeMilliseconds }
    // A full disk must not hide the offset.
    return metadata.uploads.takeOver(owner.id, this.#id, to)
  }

  /**
   * The length that upload and request agree on; null while it is unknown.
   * @throws upload_length_inconsistent, file_too_large, quota_exceeded, link_limit_reached.
   */
  async #agreeOnLength (
    upload: UploadRecord, { offset, announcedBytes, length, isLast }: UploadAppend
  ): Promise<number | null> {
    const { maxFileBytes } = this.#options
    const known = new Set<number>()
    if (upload.length !== null) known.add(upload.length)
    if (length !== undefined) known.add(length)
    // A request that contradicts itself changes nothing.
    if (known.size > 1) throw new Problem('upload_length_inconsistent')
    const [agreed] = known
    if (agreed !== undefined && agreed < upload.offset) throw new Problem('upload_length_inconsistent', { detail: `The upload has ${upload.offset} bytes already.` })
    // Bytes after the end: the same error as for a complete upload.
    if (agreed !== undefined && offset < agreed && offset + (announcedBytes ?? 0) > agreed) return this.#refuseExcess()
    if (isLast && announcedBytes !== undefined && agreed !== offset) known.add(offset + announcedBytes)
    if (known.size > 1) throw new Problem('upload_length_inconsistent')
    const [final = null] = known
    if (upload.length === null && (final ?? offset + (announcedBytes ?? 0)) > maxFileBytes) refuseSize(maxFileBytes)
    // If the length is known, it is checked against the quota when it is recorded, also before bytes are read.
    if (final === null) await this.#allowance.check({ bytes: announcedBytes ?? 0, files: 0 })
    return final
  }

  /** Bytes beyond the length end the upload. */
  async #refuseExcess (cause?: unknown): Promise<never> {
    await this.end()
    throw new Problem('upload_length_inconsistent', { detail: 'There are more bytes than announced; the upload has ended.', cause })
  }

  /**
   * Receives bytes. If they fail, what arrived is recorded.
   * @throws upload_length_inconsistent beyond the length, and then the upload ends; file_too_large, quota_exceeded,
   * link_limit_reached.
   */
  async #receive (upload: UploadRecord, append: UploadAppend, length: number | null): Promise<Received> {
    const { blobs, digests } = this.#options
    const { offset, state } = upload
    // If no bytes follow, the length is saved with the file.
    if (length !== upload.length && length !== offset) {
      await this.#save(upload, { offset, state, length }, { isAppending: true })
    }
    const limit = await this.#limitOf(offset, length)
    const watched = digests.watch(upload, untilAborted(append, this.#signal))

    // Without a length, the upload is whole when the bytes of its last request have ended.
    const isWhole = (size: number, { isLast }: { isLast: boolean }) =>
      size === length || (length === null && append.isLast && isLast)

    const record = async (draft: Draft, { isLast }: { isLast: boolean }) => {
      const { size, state } = draft
      const isAll = isWhole(size, { isLast })
      // The last offset is recorded with the file. A draft with a state is saved before that: `finish` needs it, and
      // may be repeated.
      if (isAll && !(isLast && state !== null)) return false
      const progress = { offset: size, state, length: isAll ? size : length }
      try {
        await this.#save(upload, progress, { isAppending: isAll || !isLast })
      } catch (error) {
        if (!(error instanceof Problem) || !SUPERSEDED.includes(error.code)) throw error
        // Read again: the answer to an earlier attempt to save may have been lost, and then its bytes are in use.
        const current = await this.#find()
        throw new Superseded(current && { size: current.offset, state: current.state }, { cause: error })
      }
      digests.cacheDigest(upload, watched, size)
      return true
    }

    try {
      const { leavesDouble, makeRoom } = this.#allowance.room
      // Bytes with a digest are kept all or not at all.
      const options = { maxBytes: limit.bytes, leavesDouble, isAtomic: append.confirm !== undefined }
      const { size, state: last } = await complete(
        blobs.drafts.append(upload.blobId, { size: offset, state }, watched.bytes, options),
        { record, check: () => this.read(), makeRoom }
      )
      const received = { ...upload, offset: size, state: last, length }
      return { received, watched, isComplete: isWhole(size, { isLast: true }) }
    } catch (error) {
      if (error instanceof Superseded) throw error.cause
      if (!(error instanceof Problem) || error.code !== 'file_too_large') throw error
      return await limit.refuse(error)
    }
  }

  /** The most bytes that the upload may have. */
  async #limitOf (offset: number, length: number | null): Promise<UploadLimit> {
    if (length === null) return this.#allowance.limitOf(offset)
    const announced = { bytes: length, refuse: (cause: Problem) => this.#refuseExcess(cause) }
    if (this.#uploader.linkId === null) return announced
    // The owner of a link has reserved nothing.
    const limit = await this.#allowance.limitOf(offset, length)
    return limit.bytes < length ? limit : announced
  }

  /**
   * Records what has arrived, also on a full disk.
   * @throws upload_taken_over, not_found, quota_exceeded, link_limit_reached, storage_full.
   */
  async #save (upload: UploadRecord, progress: UploadProgress, at: { isAppending: boolean }): Promise<void> {
    const { metadata, space } = this.#options
    const change = this.#changeOf(upload, progress)
    const record = () => metadata.uploads.save(change, { ...at, quota: space.quotaOf(this.#uploader.owner) })
    await this.#allowance.record(record)
  }

  #changeOf ({ id, ownerId, name, generation }: UploadRecord, { offset, state, length }: UploadProgress): UploadChange {
    const { lifetimeMilliseconds } = this.#options
    return { id, ownerId, name, generation, offset, state, length, lifetimeMilliseconds }
  }

  /**
   * Makes a file of an upload whose bytes are all there. If that fails for now, the bytes are kept.
   * @throws precondition_failed; digest_mismatch, and then the upload ends.
   */
  async #store (upload: UploadRecord, { watched, reprDigest, signal }: Ending): Promise<UploadRecord> {
    const { metadata, blobs, space, digests } = this.#options
    const { blobId, offset: size, state } = upload
    const whole = { offset: size, state, length: size }
    await blobs.drafts.finish(blobId, { size, state })
    const store = async () => {
      const reprDigests = [upload.reprDigest ?? undefined, reprDigest]
      const sha256 = await digests.verify(upload, { size, state }, { watched, reprDigests, signal })
      return this.#allowance.record(() => metadata.uploads.finish(
        this.#changeOf(upload, whole), { sha256, quota: space.quotaOf(this.#uploader.owner) }
      ))
    }
    const stored = await store().catch(async (error: unknown) => {
      if (error instanceof Problem && error.code === 'digest_mismatch') {
        await this.end()
        throw error
      }
      // Records the full offset, so that the next request continues here.
      await this.#save(upload, whole, { isAppending: true }).catch(() => {})
      if (!(error instanceof Problem) || !REFUSALS.includes(error.code)) throw error
      // By a link, there may be no space for what has arrived either.
      throw (await this.read()).offset === size ? refusal(size, error.code, error) : error
    })
    if (stored === undefined) throw refusal(size)
    this.#uploader.onStored?.()
    return { ...upload, ...whole, result: stored }
  }
}

/** All bytes are there, but the file is refused. */
function refusal (offset: number, code: FailureCode = 'precondition_failed', cause?: Problem): Problem {
  return new Problem(code, { ...cause?.options, cause, headers: { 'upload-offset': String(offset), 'upload-complete': '?1' } })
}
