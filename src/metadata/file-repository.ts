import type { Conditions, Destination } from './conditions.ts'
import type { NewLock } from './lock-records.ts'
import type { FilePage, FileRecord, FileSearch, FoundFiles, MemberPage, NewFile, Quota } from './records.ts'
import type { StoreResult } from './upload-records.ts'

/**
 * Files by owner and name. A name is a path. A write that stores, moves or restores a file makes its missing parents in
 * the same transaction, and fails with `name_taken` if a folder has the name or a file has that of a parent.
 */
export interface FileRepository {
  /**
   * Adds a file under a free name. If the owner has a file of that name with the same size and sha256, nothing changes:
   * `isNew` is false, and the new blob is not used.
   * @throws name_taken if the existing file has other bytes, quota_exceeded, not_found if the owner was deleted.
   */
  add (file: NewFile, quota: Quota): Promise<StoreResult>
  /**
   * Adds a file, or replaces the bytes of the file with that name. The old ones are kept as a version, or discarded.
   * @throws precondition_failed if the precondition does not permit it, name_taken, quota_exceeded (only the difference
   * counts), not_found if the owner was deleted, parent_missing, file_locked, too_many_locks. With
   * `lock` it only adds one under a free name, and locks it: @throws name_taken.
   */
  put (file: NewFile, quota: Quota, conditions: Conditions, lock?: NewLock): Promise<StoreResult>
  /**
   * Adds a copy of a file, with its dead properties, or with `overwrites` replaces the file that has the name. The
   * caller has copied the bytes of `source.blobId` to the blob of `file`. The precondition is about the source.
   * Undefined if that has other bytes by now.
   * @throws not_found, precondition_failed, name_taken, parent_missing, file_locked, quota_exceeded.
   */
  copy (
    source: { readonly name: string, readonly blobId: string }, file: NewFile, quota: Quota, destination: Destination
  ): Promise<StoreResult | undefined>
  find (ownerId: number, name: string): Promise<FileRecord | undefined>
  /**
   * The file of a name, or else how many folders would be made for it. `announced`: a `put` under these conditions, and
   * the account's `lockedUntil`; throws what that would throw because of conditions and locks.
   * @throws name_taken if no file can have it.
   */
  findPlace (
    ownerId: number, name: string, announced?: { readonly conditions: Conditions, readonly lockedUntil: number }
  ): Promise<FileRecord | { readonly newFolders: number }>
  /** Whether the owner has a file of `minBytes` to `maxBytes`, both inclusive, directly in a folder. */
  hasOfSize (ownerId: number, within: { folder: string, minBytes: number, maxBytes: number }): Promise<boolean>
  /**
   * One page in the given order. Concurrent changes never make a file that stays in its folder appear on two pages.
   * @throws not_found if the folder does not exist.
   */
  list (ownerId: number, page: FilePage): Promise<FileRecord[]>
  /** One page of the files directly in any of some folders. Folders that do not exist have none. */
  listIn (ownerId: number, page: MemberPage<FileRecord>): Promise<FileRecord[]>
  /**
   * One page of the files whose last segment contains a text, in the given order; compares without case and accents, as
   * `fold` does. Reads names in many short queries: one of a file that is moved or renamed meanwhile can be missing. It
   * ends after 100,000 names: in an order by name the next page goes on, in another one these are the best files of the
   * first names by folder and name. Searches of one account run one after another.
   * @throws not_found if the folder does not exist.
   */
  search (ownerId: number, search: FileSearch): Promise<FoundFiles>
  /**
   * Renames or moves a file; its bytes and `createdAt` do not change, and `updatedAt` only with the last segment.
   * With `overwrites`, a file that has the new name gets the content, the times and the dead properties instead, as by
   * a copy, and the renamed file ends: its versions go to the trash under its name.
   * @throws not_found, precondition_failed, name_taken, parent_missing, file_locked, quota_exceeded.
   */
  rename (
    ownerId: number, name: string, newName: string, quota: Quota, destination?: Destination
  ): Promise<FileRecord>
  /** Sets the date of a file to now if it is later: the clock was set back. No error if the file does not exist. */
  correctDate (ownerId: number, name: string): Promise<void>
  /**
   * Deletes a file. It is kept in the trash, unless `isPermanent` or nothing is kept: then its blob and those of its
   * versions become discarded.
   * @throws not_found, precondition_failed, file_locked.
   */
  remove (ownerId: number, name: string, removal: { precondition: Conditions, isPermanent: boolean }): Promise<void>
}
