import { Problem } from '../problems.ts'
import type { Precondition } from './preconditions.ts'
import type { FileRecord } from './records.ts'
import type { RowOf } from './schema.ts'

/** Longest `Upload-Metadata`, in bytes: it is stored with each upload. */
export const MAX_METADATA_BYTES = 4096

/** Seconds after which one of many uploads may have ended. */
const RETRY_SECONDS = 60

/** The refusal of a new upload beside too many unfinished ones. */
export function tooManyUploads (detail: string): Problem {
  return new Problem('too_many_uploads', { detail, retrySeconds: RETRY_SECONDS })
}

/** An upload that a client can send in any number of requests, as stored, whether unfinished, refused or complete. */
export interface UploadRecord extends Omit<RowOf<'uploads'>, 'result'> {
  /** The file as it was stored, and whether it was new; undefined until the upload is complete. */
  readonly result: StoreResult | undefined
}

/** How far the bytes of an upload are on stable storage. */
export type UploadProgress = Pick<UploadRecord, 'offset' | 'state' | 'length'>

export interface NewUpload extends Pick<
  UploadRecord,
  'id' | 'ownerId' | 'linkId' | 'name' | 'type' | 'blobId' | 'length' | 'method' | 'precondition' | 'uploadMetadata' |
  'reprDigest' | 'modifiedAt'
> {
  /** Until it expires, from now on. */
  readonly lifetimeMilliseconds: number
}

/** An upload as a list shows it: without what clients sent with it, which may be several kilobytes. */
export type ListedUpload = Pick<
  UploadRecord, 'id' | 'name' | 'type' | 'length' | 'offset' | 'createdAt' | 'expiresAt' | 'sequence'
>

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
export interface UploadChange extends UploadProgress, Pick<UploadRecord, 'id' | 'ownerId' | 'name' | 'generation'> {
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
