import type { FolderRecord, Quota } from './records.ts'

/** What one act of a recursive deletion does. */
export interface FolderRemoval {
  /** Files or folders at most. */
  readonly limit: number
  readonly isPermanent: boolean
  /** The id of the deletion, of which its entries of the trash tell. */
  readonly deletedWith: string
  /** Returned by the act before; undefined for the first. */
  readonly from?: FolderRemovalPosition | undefined
}

/** How far a recursive deletion is. */
export interface FolderRemovalPosition {
  /** Of the folder: another one may get its path. */
  readonly folderId: number
  /** Of the last file when it began. */
  readonly lastId: number
  /** The last folder below that has no such file; undefined if none has, and the folders are to be deleted. */
  readonly path: string | undefined
}

/** Folders by owner and path. The root is none of them. Parents are made as for files. */
export interface FolderRepository {
  find (ownerId: number, path: string): Promise<FolderRecord | undefined>
  /**
   * The folders directly in a folder, or in the root for an empty path, by name: at most `limit` with a last segment
   * after `after`.
   * @throws not_found if the folder does not exist.
   */
  list (ownerId: number, path: string, page: { after: string | undefined, limit: number }): Promise<FolderRecord[]>
  /**
   * Adds a folder, if it does not exist.
   * @throws name_taken if a file has the name of it or of a parent, quota_exceeded.
   */
  add (ownerId: number, path: string, quota: Quota): Promise<{ folder: FolderRecord, isNew: boolean }>
  /**
   * Moves a folder with all that is in it. Files, versions and their times do not change.
   * @throws not_found, name_taken, folder_into_itself, name_invalid if the path of a folder below would get too long,
   * quota_exceeded.
   */
  move (ownerId: number, path: string, newPath: string, quota: Quota): Promise<FolderRecord>
  /** Deletes an empty folder. @throws not_found, folder_not_empty. */
  remove (ownerId: number, path: string): Promise<void>
  /**
   * An act of a recursive deletion: deletes some of the files in a folder and below, as `files.remove` does, but none
   * that was added after the first act; if there are none left, some of the folders below, the deepest first, and at
   * last the folder itself. Returns from where the next act goes on; undefined if the folder is deleted.
   * @throws not_found, also if the folder was moved since the first act; folder_not_empty if a file was added.
   */
  removeSome (ownerId: number, path: string, removal: FolderRemoval): Promise<FolderRemovalPosition | undefined>
  /** Folders and files whose place is wrong, one line each. For fsck. */
  listFaults (): Promise<string[]>
}
