import type { Precondition } from './preconditions.ts'
import type { FileRecord, Quota } from './records.ts'

/** How long replaced and deleted content is kept. */
export interface Keeping {
  /** From its replacement or deletion; 0 keeps nothing. */
  readonly milliseconds: number
  /** Versions of one file at most. */
  readonly versions: number
}

/** The default of a backend: replaced and deleted content is discarded. */
export const KEEP_NOTHING: Keeping = { milliseconds: 0, versions: 0 }

/**
 * How far the newest entry of the trash may be ahead of a deletion. An entry further ahead is from a wrong clock and is ignored:
 * otherwise files that are deleted today would be kept for years.
 */
export const FURTHEST_AHEAD_MILLISECONDS = 24 * 3600 * 1000

/** Content that is no longer that of a file: an earlier version of it, or the content that it had when it was deleted. */
interface KeptContent {
  /** The id of its blob. */
  readonly id: string
  readonly ownerId: number
  readonly fileId: number
  readonly size: number
  readonly type: string
  readonly sha256: string
  /** When its bytes were stored. */
  readonly storedAt: number
  /** When it was replaced or deleted. */
  readonly keptAt: number
  /** By the current settings. */
  readonly expiresAt: number
}

/** A replaced content of a file. */
export type VersionRecord = KeptContent

/** A deleted file with its last content. */
export interface TrashRecord extends KeptContent {
  readonly name: string
  /** How many versions of the file a restore brings back. */
  readonly versions: number
}

/** What was deleted from a trash. */
export interface RemovedTrash {
  readonly files: number
  /** With those of the versions of these files. */
  readonly bytes: number
}

/** A page, newest first: at most `limit` after the position, which is that of the last entry of the page before. */
export interface KeptPage {
  readonly after: KeptPosition | undefined
  readonly limit: number
  readonly now?: number
}

/** Where a page ends: when its last entry was kept, and its id. */
export interface KeptPosition { readonly key: number, readonly id: string }

interface Change { readonly quota: Quota, readonly now?: number }

/**
 * Versions and trash: a part of the contract of {@link Metadata}. A file that gets other bytes keeps its former content as a version,
 * and a deleted file its last content as an entry of the trash, with its versions. Both belong to the file, whatever its name is.
 *
 * Kept content counts in `AccountRecord.keptBytes`. If a write would exceed the byte quota, its transaction deletes the owner's oldest kept
 * content, just enough to fit. It skips empty content. The content that this write itself replaces is deleted last. Of unfinished uploads,
 * only the bytes that have arrived count here.
 *
 * `keptAt` is the time of the replacement or deletion, and not before the file's last change. If it is not later than that of every other
 * version of the file, or of every entry of the owner's trash that is less than {@link FURTHEST_AHEAD_MILLISECONDS} ahead, it becomes one
 * millisecond later than these. So both lists have the order of the changes, also within one millisecond and after the clock was set back.
 *
 * What has expired does not exist: it is not found. Neither are versions beyond the newest `Keeping.versions` of a file.
 */
export interface KeptRepository {
  /** Newest replaced first. */
  listVersions (ownerId: number, fileId: number, page: KeptPage): Promise<VersionRecord[]>
  /** A version of the file with this name, and the file; undefined if either does not exist. */
  findVersion (ownerId: number, name: string, id: string, now?: number): Promise<{ file: FileRecord, version: VersionRecord } | undefined>
  /**
   * Gives the file the content of a version, which leaves the list; the current content becomes a version, unless it has the same bytes.
   * `createdAt` stays. @throws not_found, precondition_failed, quota_exceeded.
   */
  restoreVersion (ownerId: number, name: string, id: string, change: Change & { readonly precondition: Precondition }): Promise<FileRecord>
  /** Deletes a version; its blob becomes discarded. @throws not_found. */
  removeVersion (ownerId: number, name: string, id: string, now?: number): Promise<void>
  /** Newest deleted first. */
  listTrash (ownerId: number, page: KeptPage): Promise<TrashRecord[]>
  /** Restores a deleted file with its versions, under its name or `name`. @throws not_found, name_taken, quota_exceeded. */
  restoreFile (ownerId: number, id: string, change: Change & { readonly name: string | undefined }): Promise<FileRecord>
  /** Deletes an entry of the trash with its versions; the blobs become discarded. @throws not_found. */
  removeFromTrash (ownerId: number, id: string, now?: number): Promise<void>
  /** Deletes up to `limit` entries of the owner's trash with their versions, the oldest first. If fewer than `limit` were deleted, the trash is empty. */
  emptyTrash (ownerId: number, limit: number): Promise<RemovedTrash>
  /** Deletes up to `limit` kept contents of all owners that have expired; true if there may be more. */
  removeExpiredContent (limit: number, now?: number): Promise<boolean>
  /** Deletes the longest-kept content of all owners, except empty content, until `bytes` or `limit` is reached. Returns the deleted bytes; 0 if there was none. */
  removeOldestContent (bytes: number, limit: number): Promise<number>
}
