import type { FileRecord } from './records.ts'
import type { RowOf } from './schema.ts'

/** How long replaced and deleted content is kept. */
export interface RetentionPolicy {
  /** From its replacement or deletion; 0 keeps nothing. */
  readonly milliseconds: number
  /** Versions of one file at most. */
  readonly versions: number
  /** Contents of one account at most, empty ones included. Default: {@link MAX_RETAINED}. */
  readonly contents?: number
  /** Contents that one transaction deletes at most, besides versions of one file. Default: {@link MAX_DELETIONS}. */
  readonly deletions?: number
}

/** Limits small and empty contents, because kept content does not count towards a quota of files. */
export const MAX_RETAINED = 100_000

/** With SQLite, deleting so many takes 3 ms of the event loop. */
export const MAX_DELETIONS = 200

/** Contents beyond {@link MAX_RETAINED} that one change deletes at most. */
export const MAX_TRIMMED = 100

/** The default of a backend: replaced and deleted content is discarded. */
export const NO_RETENTION: RetentionPolicy = { milliseconds: 0, versions: 0 }

/**
 * How far the newest entry of the trash may be ahead of a deletion. An entry further ahead is from a wrong clock and is
 * ignored: otherwise files that are deleted today would be kept for years.
 */
export const FURTHEST_AHEAD_MILLISECONDS = 24 * 3600 * 1000

/** Content that is kept. `id` is that of its blob. A deleted folder has none: its `size` is 0. */
export type RetainedRow = Omit<RowOf<'kept'>, 'properties'>

/** A replaced content of a file. */
export interface VersionRecord
  extends Omit<RetainedRow, 'name' | 'createdAt' | 'deletedWith' | 'folder' | 'isStarred'> {
  /** By the current settings. */
  readonly expiresAt: number
}

/** A deleted file with its last content. */
export interface TrashRecord extends VersionRecord, Pick<RetainedRow, 'deletedWith'> {
  /** Its whole path. */
  readonly name: string
  /** How many versions of the file a restore brings back. */
  readonly versions: number
}

/** What a deletion that is more than that of one file is called in the trash. */
export type Deletion = Pick<RowOf<'deletions'>, 'id' | 'kind' | 'name'>

/** What it has in the trash. `size`: of the files, without their versions. */
export interface Deleted { readonly files: number, readonly folders: number, readonly size: number }

/** A row of the trash: what one deletion took. */
export interface DeletionRecord extends Deleted, Pick<Deletion, 'kind' | 'name'> {
  /** That of its deleted files; null for a file that was deleted alone. */
  readonly deletedWith: string | null
  readonly keptAt: number
  /** By the current settings. */
  readonly expiresAt: number
  /** Of the deletion, or of the file that was deleted alone. */
  readonly id: string
  /** The file that was deleted alone. */
  readonly file: TrashRecord | undefined
}

/** What was deleted from a trash. */
export interface RemovedTrash {
  /** If there are none, nothing is left. */
  readonly entries: number
  readonly files: number
  /** With those of the versions of these files. */
  readonly bytes: number
}

/** A file or folder that was restored. */
export interface RestoredEntry {
  readonly name: string
  readonly file: Pick<FileRecord, 'id' | 'sha256'> | undefined
  /** The outermost folder that was made: a missing parent, or itself. */
  readonly made: { readonly path: string, readonly id: number } | undefined
  /** How many changes it was. */
  readonly changes: number
}

/** What one act restored of a deletion. */
export interface RestoredDeletion {
  /** Files and folders. */
  readonly restored: readonly RestoredEntry[]
  readonly kept: readonly { readonly name: string, readonly code: 'name_taken' | 'quota_exceeded' | 'file_locked' }[]
  /** The last entry of this act; undefined if there are no more. */
  readonly last: ContentPosition | undefined
}

/** A page, newest first: at most `limit` entries after `after`, the previous page's last entry. */
export interface ContentPage {
  readonly after: ContentPosition | undefined
  readonly limit: number
}

/** Where a page ends: when its last entry was kept, and its id. */
export interface ContentPosition { readonly key: number, readonly id: string }
