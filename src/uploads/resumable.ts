import type { AccountRecord } from '../metadata/records.ts'
import type { Precondition } from '../metadata/preconditions.ts'
import type { StoredUpload, UploadRecord } from '../metadata/uploads.ts'

/** A request to create an upload. Its values are as sent, except for numbers. */
export interface UploadCreation {
  readonly owner: AccountRecord
  readonly name: string
  readonly type: string | undefined
  /** Bytes of the file; undefined if they are announced later. */
  readonly length: number | undefined
  readonly method: 'POST' | 'PUT'
  readonly precondition: Precondition
  readonly uploadMetadata: string | undefined
  /** `Repr-Digest`. */
  readonly reprDigest: string | undefined
}

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
  /** Replaces the recorded precondition (ranged `PUT` only). */
  readonly precondition?: Precondition
}

/** An upload after a request; with the file once it is complete. */
export interface UploadOutcome { readonly upload: UploadRecord, readonly stored: StoredUpload | undefined }

/** Uploads that survive lost connections and restarts, whatever protocol their clients speak. */
export interface ResumableUploads {
  /** `max-size` and `max-age` for clients: bytes, and seconds since the last byte. */
  readonly limits: { readonly maxBytes: number, readonly maxAgeSeconds: number }
  /**
   * Creates an upload without bytes; one of length 0 is complete.
   * @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, too_many_uploads, precondition_failed if it is certain,
   * digest_malformed, storage_full.
   */
  create (request: UploadCreation): Promise<UploadOutcome>
  /** As it is, without ending an append. @throws not_found. */
  get (owner: AccountRecord, id: string): Promise<UploadRecord>
  /** Unfinished ones, newest first. */
  list (owner: AccountRecord, page: { name: string | undefined, before: number | undefined, limit: number }): Promise<UploadRecord[]>
  /** The newest unfinished upload of this name that was created by `PUT`, for ranged `PUT`. */
  findByName (owner: AccountRecord, name: string): Promise<UploadRecord | undefined>
  /**
   * The offset on stable storage. Ends an append that is under way, after what it has received is committed.
   * @throws not_found, precondition_failed if all bytes are there and the file was refused.
   */
  offset (owner: AccountRecord, id: string): Promise<UploadOutcome>
  /**
   * Appends bytes. Ends an append that is under way. When the length is reached, or the last bytes have ended, the upload becomes a file
   * in the same act as the last offset. An empty append at the full offset tries that again, or repeats its answer.
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
