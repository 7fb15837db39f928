import type { Precondition } from './preconditions.ts'
import type { FileRecord, Quota } from './records.ts'

/** How long replaced and deleted content is kept. */
export interface Keeping {
  /** From its replacement or deletion; 0 keeps nothing. */
  readonly milliseconds: number
  /** Versions of one file at most. */
  readonly versions: number
  /** Contents of one account at most, empty ones included. Default: {@link MAX_KEPT}. */
  readonly contents?: number
  /** Contents that one transaction deletes at most, besides versions of one file. Default: {@link MAX_DELETIONS}. */
  readonly deletions?: number
}

/** Limits small and empty contents, because kept content does not count towards a quota of files. */
export const MAX_KEPT = 10_000

/** With SQLite, deleting so many takes 3 ms of the event loop. */
export const MAX_DELETIONS = 200

/** Contents beyond {@link MAX_KEPT} that one change deletes at most. */
export const MAX_TRIMMED = 100

/** The default of a backend: replaced and deleted content is discarded. */
export const KEEP_NOTHING: Keeping = { milliseconds: 0, versions: 0 }

/**
 * How far the newest entry of the trash may be ahead of a deletion. An entry further ahead is from a wrong clock and is
 * ignored: otherwise files that are deleted today would be kept for years.
 */
export const FURTHEST_AHEAD_MILLISECONDS = 24 * 3600 * 1000

/** Former content of a file: an earlier version, or the content that it had when it was deleted. */
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
  /** The client's time of the content; null if it was not told. */
  readonly modifiedAt: number | null
  /** When it was replaced or deleted. */
  readonly keptAt: number
  /** By the current settings. */
  readonly expiresAt: number
}

/** A replaced content of a file. */
export type VersionRecord = KeptContent

/** A deleted file with its last content. */
export interface TrashRecord extends KeptContent {
  /** Its whole path. */
  readonly name: string
  /** The id of the recursive deletion of a folder that took it; null if it was deleted alone. */
  readonly deletedWith: string | null
  /** How many versions of the file a restore brings back. */
  readonly versions: number
}

/** What was deleted from a trash. */
export interface RemovedTrash {
  readonly files: number
  /** With those of the versions of these files. */
  readonly bytes: number
}

/** What one act restored of a recursive deletion. */
export interface RestoredFiles {
  readonly restored: number
  readonly kept: readonly { readonly name: string, readonly code: 'name_taken' | 'quota_exceeded' | 'file_locked' }[]
  /** The last file of this act; undefined if there are no more. */
  readonly last: KeptPosition | undefined
}

/** A page, newest first: at most `limit` entries after `after`, the previous page's last entry. */
export interface KeptPage {
  readonly after: KeptPosition | undefined
  readonly limit: number
}

/** Where a page ends: when its last entry was kept, and its id. */
export interface KeptPosition { readonly key: number, readonly id: string }

interface Change { readonly quota: Quota }

/**
 * Versions and trash: a part of the contract of {@link Metadata}. A file that gets other bytes keeps its former content
 * as a version, and a deleted file its last content as an entry of the trash, with its versions. Both belong to the
 * file, whatever its name is.
 *
 * Kept content counts in `AccountRecord.keptBytes`. If a write would exceed the byte quota, its transaction deletes the
 * owner's oldest kept content, just enough to fit. It skips empty content. The content that this write itself replaces
 * is deleted last. Of unfinished uploads, only the bytes that have arrived count here. If the write needs the room of
 * more than `Keeping.deletions` contents, that many at a time are deleted in transactions before its own, each only if
 * the write would not be refused.
 *
 * An account keeps at most `Keeping.contents` contents. The transaction that keeps one more also deletes the oldest
 * beyond that, except the one that it keeps itself. An account may have more, from a version without this limit or from
 * a backup: then at most {@link MAX_TRIMMED} go with each such transaction.
 *
 * `keptAt` is the time of the replacement or deletion, but not before the file's last change. It is at least 1 ms later
 * than that of the file's other versions or, for a deleted file, of the other entries in the owner's trash that are
 * less than {@link FURTHEST_AHEAD_MILLISECONDS} ahead. So both lists keep the order of the changes, even if the clock
 * goes back. Files that one act of a recursive deletion takes have the same.
 *
 * Expired content is not found, nor are versions beyond the newest `Keeping.versions` of a file.
 */
export interface KeptRepository {
  /** Newest replaced first. */
  listVersions (ownerId: number, fileId: number, page: KeptPage): Promise<VersionRecord[]>
  /** A version of the file with this name, and the file; undefined if either does not exist. */
  findVersion (
    ownerId: number, name: string, id: string
  ): Promise<{ file: FileRecord, version: VersionRecord } | undefined>
  /**
   * Gives the file the content of a version, which leaves the list; the current content becomes a version, unless it
   * has the same bytes. `createdAt` stays.
   * @throws not_found, precondition_failed, file_locked, quota_exceeded.
   */
  restoreVersion (
    ownerId: number, name: string, id: string, change: Change & { readonly precondition: Precondition }
  ): Promise<FileRecord>
  /** Deletes a version; its blob becomes discarded. @throws not_found. */
  removeVersion (ownerId: number, name: string, id: string): Promise<void>
  /** Newest deleted first. */
  listTrash (ownerId: number, page: KeptPage): Promise<TrashRecord[]>
  /**
   * Restores a deleted file with its versions, under its name or `name`; missing parents are made.
   * @throws not_found, name_taken, file_locked, quota_exceeded.
   */
  restoreFile (ownerId: number, id: string, change: Change & { readonly name: string | undefined }): Promise<FileRecord>
  /**
   * Restores up to `limit` of the files that one recursive deletion took, the first deleted first. What can't be
   * restored stays in the trash, and is in `kept` with the reason.
   */
  restoreDeletion (
    ownerId: number, deletedWith: string, change: Change & KeptPage
  ): Promise<RestoredFiles>
  /** Deletes an entry of the trash with its versions; the blobs become discarded. @throws not_found. */
  removeFromTrash (ownerId: number, id: string): Promise<void>
  /**
   * Deletes up to `limit` entries of the owner's trash with their versions, the oldest first; fewer, but at least one,
   * if these are more than `Keeping.deletions` contents. If none was deleted, the trash is empty.
   */
  emptyTrash (ownerId: number, limit: number): Promise<RemovedTrash>
  /** Deletes up to `limit` kept contents of all owners that have expired; true if there may be more. */
  removeExpired (limit: number): Promise<boolean>
  /**
   * Deletes the longest-kept content of all owners, or of one, except empty content, until `bytes` or `limit` is
   * reached. Returns the deleted bytes; 0 if there was none.
   */
  removeOldest (bytes: number, limit: number, ownerId?: number): Promise<number>
}
