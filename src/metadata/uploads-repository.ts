import { Problem } from '../problems.ts'
import type { Precondition } from './preconditions.ts'
import type { FileRecord, Quota } from './records.ts'

/** Longest `Upload-Metadata`, in bytes: it is stored with each upload. */
export const MAX_METADATA_BYTES = 4096

/** Seconds after which one of many uploads may have ended. */
const RETRY_SECONDS = 60

/** The refusal of a new upload beside too many unfinished ones. */
export function tooManyUploads (detail: string): Problem {
  return new Problem('too_many_uploads', { detail, headers: { 'retry-after': String(RETRY_SECONDS) } })
}

/** How far the bytes of an upload are on stable storage. */
export interface UploadProgress {
  /** Bytes from the beginning. */
  readonly offset: number
  /** What the blob store needs to go on; null at the beginning. Opaque to all other code. */
  readonly state: string | null
  /** The length of the file; null while the client has not announced it. */
  readonly length: number | null
}

/** An upload that a client can send in any number of requests. */
export interface NewUpload {
  /** 32 lower-case hex digits, random: part of its URL. */
  readonly id: string
  readonly ownerId: number
  /** The link that it came by: then `name` is one segment, in the folder of the link. Null for the owner's own. */
  readonly linkId: number | null
  /** The name of the file that it becomes. */
  readonly name: string
  /** A well-formed media type. */
  readonly type: string
  readonly blobId: string
  readonly length: number | null
  /** The method that created it: `POST` creates a file, `PUT` also replaces one. A precondition overrides that. */
  readonly method: 'POST' | 'PUT'
  readonly precondition: Precondition
  /** `Upload-Metadata` as sent. */
  readonly uploadMetadata: string | null
  /** `Repr-Digest` as sent: the file must match it. */
  readonly reprDigest: string | null
  /** The client's time of the content; null if it was not told. */
  readonly modifiedAt: number | null
  /** Until it expires, from now on. */
  readonly lifetimeMilliseconds: number
}

/** An upload as stored, whether unfinished, refused or complete. */
export interface UploadRecord extends Omit<NewUpload, 'lifetimeMilliseconds'>, UploadProgress {
  readonly createdAt: number
  readonly expiresAt: number
  /** Newer uploads have a higher one. For pages. */
  readonly sequence: number
  /** Raised by each request that takes the upload over: one with an older generation can no longer change it. */
  readonly generation: number
  /** Whether a request appends bytes, or did when its process died. */
  readonly isAppending: boolean
  /** Whether all bytes are there, but a precondition refused the file. */
  readonly isRefused: boolean
  /** The file as it was stored, and whether it was new; undefined until the upload is complete. */
  readonly result: StoreResult | undefined
}

/** An upload as a list shows it: without what clients sent with it, which may be several kilobytes. */
export type ListedUpload = Pick<UploadRecord, 'id' | 'name' | 'type' | 'length' | 'offset' | 'createdAt' | 'expiresAt' | 'sequence'>

/**
 * Which unfinished uploads to list: at most `limit` with a sequence below `before`, only those with this name or
 * created by this method if they are given.
 */
export interface UploadPage {
  readonly name: string | undefined
  readonly method?: NewUpload['method']
  readonly before: number | undefined
  readonly limit: number
}

/** A file that was stored, and whether it is new. */
export interface StoreResult { readonly file: FileRecord, readonly isNew: boolean }

/** What an account's unfinished uploads use of its quota. */
export interface UploadUsage {
  /** The owner's own, which count as files. */
  readonly uploads: number
  /** Reserved bytes: the announced length; what has arrived while there is none, and of uploads by links. */
  readonly bytes: number
  /** Bytes that have arrived. */
  readonly receivedBytes: number
}

/** Finished uploads of an account that are remembered. */
export const MAX_FINISHED = 1000

/** Finished uploads that one transaction forgets at most. */
export const MAX_FORGOTTEN = 100

/** A change of one upload by the request that has taken it over. */
export interface UploadChange extends UploadProgress {
  readonly id: string
  readonly ownerId: number
  /** The name of the file that it becomes. */
  readonly name: string
  readonly generation: number
  /** Until it expires, from now on. */
  readonly lifetimeMilliseconds: number
}

/** How a request takes an upload over. */
export interface TakeOver {
  readonly isAppending: boolean
  readonly lifetimeMilliseconds: number
  /** Of an upload by a link. */
  readonly linkId?: number | null | undefined
  readonly precondition?: Precondition | undefined
  readonly modifiedAt?: number | null | undefined
}

/**
 * Unfinished uploads: a part of the contract of {@link Metadata}. The bytes of an unfinished upload belong to it, and
 * become discarded when it ends without a file. It counts towards its owner's quotas: as one file, and with its
 * reserved bytes; one by a link only with the bytes that have arrived.
 *
 * An expired upload is not found, and counts nowhere. A finished one is found until it expires or is forgotten, but
 * neither listed nor counted, and its bytes belong to the file. Of it remains what its answers need: its `state`,
 * `precondition` and `reprDigest` are gone.
 */
export interface UploadRepository {
  /**
   * Adds an upload, with offset 0 and generation 1. A PUT first cancels the owner's other PUT uploads of this name.
   * @throws too_many_uploads if the owner has `maxUploads` unfinished ones, or the link {@link MAX_LINK_UPLOADS};
   * name_taken if no file can have this name, precondition_failed if the folder is another one than that of the
   * precondition, file_locked, quota_exceeded, link_limit_reached, not_found if the owner
   * was deleted or the link has ended.
   */
  add (upload: NewUpload, limits: { maxUploads: number, quota: Quota }): Promise<UploadRecord>
  /** The upload; one by a link only with the id of that. */
  find (ownerId: number, id: string, linkId?: number | null): Promise<UploadRecord | undefined>
  /** Unfinished uploads, newest first, but not those by links. */
  list (ownerId: number, page: UploadPage): Promise<ListedUpload[]>
  /**
   * Takes an upload over: raises its generation, and sets `isAppending`. `isAppending` restarts its expiry, and
   * `modifiedAt` and what `precondition` has, if given, replace its own. A finished upload is returned unchanged.
   * @throws not_found.
   */
  takeOver (ownerId: number, id: string, to: TakeOver): Promise<UploadRecord>
  /**
   * Records progress. `isAppending` says whether the request goes on.
   * @throws upload_taken_over if the upload has another generation or is finished; not_found; quota_exceeded or
   * link_limit_reached, and then nothing changes.
   */
  save (change: UploadChange, to: { isAppending: boolean, quota: Quota }): Promise<void>
  /**
   * Makes a file of an upload whose bytes are all there, and records its progress, in one transaction. The name and its
   * precondition are evaluated as by `files.add` and `files.put`. On refusal: sets `isRefused`, returns undefined. A
   * replaced blob, or that of the upload if the file is there already, becomes discarded. If the owner then has more
   * than `maxFinished` finished uploads ({@link MAX_FINISHED}), up to {@link MAX_FORGOTTEN} of the first that were
   * finished are forgotten.
   * One by a link gets the next free name in the folder of that, as by `links.store`.
   * @throws name_taken if no file can have this name, file_locked, and as `uploads.save`.
   */
  finish (
    change: UploadChange, content: { sha256: string, quota: Quota, maxFinished?: number }
  ): Promise<StoreResult | undefined>
  /** Ends an upload; a file that it became stays. @throws not_found. */
  remove (ownerId: number, id: string, linkId?: number | null): Promise<void>
  usage (ownerId: number): Promise<UploadUsage>
  /** Deletes up to `limit` uploads that have expired, or whose link has ended; true if there may be more. */
  removeExpired (limit: number): Promise<boolean>
}
