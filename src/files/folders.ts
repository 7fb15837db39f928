import { createBlobId } from '../blobs/blob-writer.ts'
import type { Conditions, Destination, EntryChange } from '../metadata/conditions.ts'
import type { FolderCopy, FolderRemoval, FolderRemovalPosition } from '../metadata/folder-records.ts'
import type { FolderRepository } from '../metadata/folders.ts'
import type { AccountRecord, FolderRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { folderPath, getName } from './names.ts'
import { pagesBelow } from './pages.ts'

/** Files or folders in one batch of a deletion. On SQLite, 200 took up to 41 ms of the event loop. */
export const DELETION_BATCH = 100

/** `isPermanent`: the files do not go to the trash. */
interface Removal {
  readonly isRecursive: boolean
  readonly isPermanent: boolean
  readonly conditions?: Conditions
  readonly unchangedSince?: FolderRemoval['unchangedSince']
  /** Of a deletion that takes more than this folder. */
  readonly deletedWith?: string
  readonly deletedFrom?: string | undefined
  /** What then gets its path. */
  readonly replacedBy?: FolderRemoval['replacedBy']
}

/** What is in a folder and below it. */
export interface FolderUsage { readonly files: number, readonly folders: number, readonly bytes: number }

export type Folders = ReturnType<typeof createFolders>

/** Folders. Every method takes the owner, and folders of other accounts do not exist. */
export function createFolders ({ metadata, space, stopping }: Pick<AppServices, 'metadata' | 'space' | 'stopping'>) {
  const { folders } = metadata

  /** @throws not_found. */
  async function get (ownerId: number, name: string): Promise<FolderRecord> {
    const folder = await folders.find(ownerId, getName(name, folderPath))
    if (folder === undefined) throw new Problem('not_found')
    return folder
  }

  return {
    get,

    /**
     * Counts what is in a folder and below, some at a time: a change meanwhile may be counted or not. `signal` ends it.
     * @throws not_found.
     */
    async usage (ownerId: number, name: string, signal: AbortSignal): Promise<FolderUsage> {
      const { id } = await get(ownerId, name)
      const usage = { files: 0, folders: 0, bytes: 0 }
      for await (const page of pagesBelow(metadata, ownerId, [id])) {
        signal.throwIfAborted()
        if ('folders' in page) usage.folders += page.folders.length
        else {
          usage.files += page.files.length
          usage.bytes += page.files.reduce((sum, { size }) => sum + size, 0)
        }
      }
      return usage
    },

    /**
     * Creates a folder and its missing parents, unless it exists.
     * @throws name_invalid, name_taken, quota_exceeded, and as its destination says.
     */
    async create (
      owner: AccountRecord, name: string, destination?: Destination
    ): ReturnType<FolderRepository['add']> {
      await space.requireDisk(0)
      return folders.add(owner.id, folderPath(name), space.quotaOf(owner), destination)
    },

    /**
     * Moves a folder with all that is in it, or stars it.
     * @throws not_found, name_invalid, name_taken, folder_into_itself, quota_exceeded, and as its destination says.
     */
    async move (
      owner: AccountRecord, name: string, newName: string | undefined, change: EntryChange = {}
    ): Promise<FolderRecord> {
      const { path } = await get(owner.id, name)
      const newPath = newName === undefined ? path : folderPath(newName)
      return folders.move(owner.id, path, newPath, space.quotaOf(owner), change)
    },

    /** Adds a folder with the dead properties of another one, without what is in it. @throws as `move`. */
    async copy (
      owner: AccountRecord, name: string, newName: string, destination: FolderCopy = {}
    ): Promise<FolderRecord> {
      const { path } = await get(owner.id, name)
      return folders.copy(owner.id, path, folderPath(newName), space.quotaOf(owner), destination)
    },

    /**
     * Deletes a folder. A recursive removal is many transactions: first the files, then the empty folders. It ends
     * between two of them if the server stops, and can be repeated after a failure.
     * @throws not_found, folder_not_empty, precondition_failed, file_locked, stopping; quota_exceeded if a copy does
     * not fit.
     */
    async remove (
      ownerId: number, name: string, { isRecursive, deletedWith = createBlobId(), ...options }: Removal
    ): Promise<void> {
      const path = getName(name, folderPath)
      if (!isRecursive) return folders.remove(ownerId, path, options.conditions)
      let from: FolderRemovalPosition | undefined
      do {
        stopping.throwIfAborted()
        from = await folders.removeSome(ownerId, path, { limit: DELETION_BATCH, deletedWith, from, ...options })
      } while (from !== undefined)
    }
  }
}
