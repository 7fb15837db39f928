import { Problem } from '../problems.ts'
import type { Precondition } from './preconditions.ts'
import type { FileRecord } from './records.ts'

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
