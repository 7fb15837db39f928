import type { Conditions, Destination } from './conditions.ts'
import type { FolderRecord, MemberPage, Quota } from './records.ts'

/** How a folder is copied. `isDeep`: what is in it is to follow, and must have room. */
export interface FolderCopy extends Destination { readonly isDeep?: boolean | undefined }

/** What one act of a recursive deletion does. */
export interface FolderRemoval {
  /** Files or folders at most. */
  readonly limit: number
  readonly isPermanent: boolean
  /** The id of the deletion, which its entries of the trash have. */
  readonly deletedWith: string
  /** Returned by the act before; undefined for the first. */
  readonly from?: FolderRemovalPosition | undefined
  /** The lists and the precondition are judged by the first act only. */
  readonly conditions?: Conditions | undefined
  /** What then gets the path. */
  readonly replacedBy?: Replacement | undefined
}

/**
 * A file or folder that is copied or moved to where another one is deleted. The precondition is about this.
 * Nothing is deleted for it if it would be refused: the first act judges the paths below it, and the room of a copy,
 * beside what is deleted, or else the locks. Each act needs it to exist.
 */
export interface Replacement {
  readonly path: string
  /** Undefined if it is moved. */
  readonly copy: { readonly isDeep: boolean, readonly quota: Quota } | undefined
}

/** How far a recursive deletion is. */
export interface FolderRemovalPosition {
  /** Of the folder: another one may get its path. */
  readonly folderId: number
  /** Of the last file when it began. */
  readonly lastId: number
  /** Folders up to this path have no such file; undefined if none has, and the folders are to be deleted. */
  readonly path: string | undefined
}

/**
 * Folders by owner and path. The root is not one of them. Ids are never reused. Missing parents are made as for files.
 * A folder counts as a file in the quota.
 */
export interface FolderRepository {
  find (ownerId: number, path: string): Promise<FolderRecord | undefined>
  /**
   * The folders directly in a folder, or in the root for an empty path, by name: at most `limit` with a last segment
   * after `after`.
   * @throws not_found if the folder does not exist.
   */
  list (ownerId: number, path: string, page: { after: string | undefined, limit: number }): Promise<FolderRecord[]>
  /** The same for any of some folders: those that do not exist have none. */
  listIn (ownerId: number, page: MemberPage<FolderRecord>): Promise<FolderRecord[]>
  /** All folders in the order of their ids, which is that of their creation: at most `limit` with one above `after`. */
  listAll (ownerId: number, page: { after: number, limit: number }): Promise<FolderRecord[]>
  /**
   * Adds a folder, if it does not exist.
   * With `overwrites`, a file that has the name goes to the trash.
   * @throws name_taken if a file has the name of it or of a parent, precondition_failed, parent_missing, file_locked,
   * quota_exceeded.
   */
  add (
    ownerId: number, path: string, quota: Quota, destination?: Destination
  ): Promise<{ folder: FolderRecord, isNew: boolean }>
  /**
   * Adds a folder with the dead properties of another one.
   * @throws as `add`; not_found, and name_taken also if the folder exists.
   */
  copy (ownerId: number, path: string, newPath: string, quota: Quota, destination?: FolderCopy): Promise<FolderRecord>
  /**
   * Moves a folder with all that is in it. Files, versions and their times do not change.
   * @throws not_found, name_taken, folder_into_itself, name_invalid if the path of a folder below would get too long,
   * quota_exceeded, precondition_failed, parent_missing, file_locked. With `overwrites`, a file that has the new path
   * goes to the trash.
   */
  move (ownerId: number, path: string, newPath: string, quota: Quota, destination?: Destination): Promise<FolderRecord>
  /** Deletes an empty folder. @throws not_found, precondition_failed, folder_not_empty, file_locked. */
  remove (ownerId: number, path: string, conditions?: Conditions): Promise<void>
  /**
   * One act of a recursive deletion. Deletes some files in the folder and below, as `files.remove` does, but none
   * that was added after the first act. Once there are none, it deletes folders, each after those below it. Returns
   * where the next act begins; undefined if the folder is deleted.
   * The first act ends the locks in the folder.
   * @throws not_found, also if the folder was moved since the first act; folder_not_empty if a file was added;
   * precondition_failed; file_locked if something in the folder is locked, also since the first act; quota_exceeded;
   * name_invalid.
   */
  removeSome (ownerId: number, path: string, removal: FolderRemoval): Promise<FolderRemovalPosition | undefined>
  /** Folders and files whose place is wrong, one line each. For fsck. */
  listFaults (): Promise<string[]>
}
