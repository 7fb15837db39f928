import { createBlobId } from '../blobs/blob-store.ts'
import type { Conditions, Destination } from '../metadata/conditions.ts'
import type { FolderCopy, FolderRemoval, FolderRemovalPosition } from '../metadata/folder-records.ts'
import type { FolderRepository } from '../metadata/folders.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord, FolderRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { DiskRoom } from './disk-room.ts'
import { folderPath, getName } from './names.ts'
import type { Quotas } from './quotas.ts'

/** Files or folders in one act of a deletion. On SQLite, 200 took up to 41 ms of the event loop. */
const DELETION_BATCH = 100

interface FoldersOptions {
  readonly metadata: Metadata
  readonly quotas: Quotas
  readonly room: Pick<DiskRoom, 'requireSpace'>
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal
}

/** `isPermanent`: the files are not kept in the trash. */
interface Removal {
  readonly isRecursive: boolean
  readonly isPermanent: boolean
  readonly conditions?: Conditions
  /** What then gets its path. */
  readonly replacedBy?: FolderRemoval['replacedBy']
}

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

  /** All folders in the order of their creation. */
  async listAll (ownerId: number, page: Parameters<FolderRepository['listAll']>[1]): Promise<FolderRecord[]> {
    return this.#options.metadata.folders.listAll(ownerId, page)
  }

  /**
   * Creates a folder and its missing parents, unless it exists.
   * @throws name_invalid, name_taken, quota_exceeded, and as its destination says.
   */
  async create (
    owner: AccountRecord, name: string, destination?: Destination
  ): ReturnType<FolderRepository['add']> {
    const { metadata, quotas, room } = this.#options
    await room.requireSpace(0)
    return metadata.folders.add(owner.id, folderPath(name), quotas.of(owner), destination)
  }

  /**
   * Moves a folder with all that is in it.
   * @throws not_found, name_invalid, name_taken, folder_into_itself, quota_exceeded, and as its destination says.
   */
  async move (
    owner: AccountRecord, name: string, newName: string, destination: Destination = {}
  ): Promise<FolderRecord> {
    const { metadata, quotas } = this.#options
    const folder = await this.get(owner.id, name)
    return metadata.folders.move(owner.id, folder.path, folderPath(newName), quotas.of(owner), destination)
  }

  /** Adds a folder with the dead properties of another one, without what is in it. @throws as `move`. */
  async copy (
    owner: AccountRecord, name: string, newName: string, destination: FolderCopy = {}
  ): Promise<FolderRecord> {
    const { metadata, quotas } = this.#options
    const folder = await this.get(owner.id, name)
    return metadata.folders.copy(owner.id, folder.path, folderPath(newName), quotas.of(owner), destination)
  }

  /**
   * Deletes a folder. A recursive removal is many transactions: first the files, then the empty folders. It ends
   * between two of them if the server stops, and can be repeated after a failure.
   * @throws not_found, folder_not_empty, precondition_failed, file_locked, stopping; quota_exceeded if a copy has no
   * room.
   */
  async remove (ownerId: number, name: string, { isRecursive, ...options }: Removal): Promise<void> {
    const { metadata: { folders }, stopping } = this.#options
    const path = getName(name, folderPath)
    if (!isRecursive) return folders.remove(ownerId, path, options.conditions)
    const deletedWith = createBlobId()
    let from: FolderRemovalPosition | undefined
    do {
      stopping.throwIfAborted()
      const removal = { limit: DELETION_BATCH, deletedWith, from, ...options }
      from = await folders.removeSome(ownerId, path, removal)
    } while (from !== undefined)
  }
}
