import { createBlobId, type Reserve } from '../blobs/blob-store.ts'
import type { FolderRemovalPosition, FolderRepository } from '../metadata/folder-repository.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord, FolderRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { Files } from './files.ts'
import { folderPath, getName } from './names.ts'
import type { Quotas } from './quotas.ts'

/**
 * Files or folders in one act of a deletion. With 500, others waited 82 ms (p99) while 100,000 files were deleted from
 * SQLite; with 200, 37 ms.
 */
const DELETION_BATCH = 200

interface FoldersOptions {
  readonly metadata: Metadata
  readonly reserve: Reserve
  readonly quotas: Quotas
  readonly files: Pick<Files, 'sweep'>
}

/** `isPermanent`: the files are not kept in the trash. */
interface Removal { readonly isRecursive: boolean, readonly isPermanent: boolean }

/** Folders. Every method takes the owner, and folders of other accounts do not exist. */
export class Folders {
  readonly #options: FoldersOptions

  constructor (options: FoldersOptions) {
    this.#options = options
  }

  /** @throws not_found. */
  async get (ownerId: number, name: string): Promise<FolderRecord> {
    const folder = await this.#options.metadata.folders.find(ownerId, getName(name, folderPath))
    if (folder === undefined) throw new Problem('not_found')
    return folder
  }

  /** The folders in a folder, by name. @throws not_found. */
  async list (ownerId: number, path: string, page: Parameters<FolderRepository['list']>[2]): Promise<FolderRecord[]> {
    return this.#options.metadata.folders.list(ownerId, path, page)
  }

  /** Creates a folder and its missing parents, unless it exists. @throws name_invalid, name_taken, quota_exceeded. */
  async create (owner: AccountRecord, name: string): ReturnType<FolderRepository['add']> {
    const { metadata, quotas } = this.#options
    return metadata.folders.add(owner.id, folderPath(name), quotas.of(owner))
  }

  /**
   * Moves a folder with all that is in it.
   * @throws not_found, name_invalid, name_taken, folder_into_itself, quota_exceeded.
   */
  async move (owner: AccountRecord, name: string, newName: string): Promise<FolderRecord> {
    const { metadata, quotas } = this.#options
    const folder = await this.get(owner.id, name)
    return metadata.folders.move(owner.id, folder.path, folderPath(newName), quotas.of(owner))
  }

  /**
   * Deletes a folder. A recursive removal is many transactions: first the files, then the empty folders. After a
   * failure it can be repeated.
   * @throws not_found, folder_not_empty.
   */
  async remove (ownerId: number, name: string, { isRecursive, isPermanent }: Removal): Promise<void> {
    const path = getName(name, folderPath)
    if (!isRecursive) return this.#change(folders => folders.remove(ownerId, path))
    const deletedWith = createBlobId()
    let from: FolderRemovalPosition | undefined
    do {
      const removal = { limit: DELETION_BATCH, isPermanent, deletedWith, from }
      from = await this.#change(folders => folders.removeSome(ownerId, path, removal))
    } while (from !== undefined)
  }

  /** Deletes, also on a full disk, and then requests the removal of bytes. */
  async #change<T> (write: (folders: FolderRepository) => Promise<T>): Promise<T> {
    const { reserve, metadata, files } = this.#options
    const result = await reserve.withSpace(async () => write(metadata.folders))
    files.sweep()
    return result
  }
}
