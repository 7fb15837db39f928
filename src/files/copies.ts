import type { Conditions, Destination } from '../metadata/conditions.ts'
import type { FolderCopy } from '../metadata/folder-records.ts'
import { joinPath, splitPath } from '../metadata/paths.ts'
import type { AccountRecord, FileRecord } from '../metadata/records.ts'
import type { StoreResult } from '../metadata/upload-records.ts'
import { fileTaken } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { folderPath } from './names.ts'
import { filePages, folderPages } from './pages.ts'
import type { Allowance } from './space.ts'

/** Where the copy of a folder stopped, and why: a problem, or something unexpected. */
export interface CopyFailure { readonly path: string, readonly error: unknown }

interface AbortableCopy extends FolderCopy {
  /** Aborted when nobody waits for the copy any more. */
  readonly signal: AbortSignal
  /** Gets each folder and file that was made, the folder itself first. */
  readonly onStep?: ((made: { readonly id: number }) => void) | undefined
}

export type Copies = ReturnType<typeof createCopies>

/** Copies of files and folders. Bytes do not pass through this process, and are counted in full. */
export function createCopies ({ metadata, blobs, incoming, space, files, folders, stopping }:
Pick<AppServices, 'metadata' | 'blobs' | 'incoming' | 'space' | 'files' | 'folders' | 'stopping'>) {
  /**
   * Copies a file with its type, the client's time and its dead properties. With `overwrites`, a file that has the new
   * name gets the content, as by an upload.
   * @throws not_found, name_invalid, extension_not_allowed, name_taken, quota_exceeded, file_damaged, storage_full, and
   * as its destination says.
   */
  async function copyFile (
    owner: AccountRecord, name: string, newName: string, destination: Destination = {}
  ): Promise<StoreResult> {
    const target = files.acceptName(newName)
    const { needsParent } = destination
    const allowance = space.of({ owner, linkId: null })
    for (;;) {
      const source = await files.get(owner.id, name)
      const { file: current, newFolders } = await metadata.files.findPlace(
        owner.id, target, { conditions: { needsParent }, lockedUntil: 0 }
      )
      if (current !== undefined && destination.overwrites !== true) throw fileTaken(target)
      const newFiles = current === undefined ? newFolders + 1 : 0
      await allowance.check({ bytes: source.size - (current?.size ?? 0), files: newFiles })
      const blobId = await copyBytes(owner, source, allowance)
      if (blobId === undefined) continue
      const { modifiedAt = source.modifiedAt } = destination
      const file = { ...source, name: target, blobId, modifiedAt, isLeased: blobs.needsLeases }
      const stored = await incoming.commitWith(blobId, allowance.record(() =>
        metadata.files.copy(source, file, space.quotaOf(owner), destination)))
      if (stored !== undefined) return stored
    }
  }

  /** The id of the copied bytes; undefined if the file has other bytes by now. */
  async function copyBytes (
    owner: AccountRecord, { name, blobId, size, sha256 }: FileRecord, { disk }: Allowance
  ): Promise<string | undefined> {
    try {
      return (await incoming.copy({ id: blobId, size, sha256 }, { maxBytes: size, ...disk })).id
    } catch (error) {
      // The old bytes may be removed already.
      if ((await files.get(owner.id, name)).blobId === blobId) throw error
      return undefined
    }
  }

  async function copyContent (
    owner: AccountRecord, from: string, to: string,
    { onStep, ...conditions }: Conditions & Pick<AbortableCopy, 'signal' | 'onStep'>
  ): Promise<CopyFailure | undefined> {
    let at = from
    const target = (path: string) => joinPath(to, splitPath(path).name)
    const requireWanted = () => {
      conditions.signal.throwIfAborted()
      stopping.throwIfAborted()
    }
    try {
      for await (const page of filePages(metadata, owner.id, from)) {
        for (const { name } of page) {
          at = name
          requireWanted()
          const { file } = await copyFile(owner, name, target(name), conditions)
          onStep?.(file)
        }
      }
      for await (const page of folderPages(metadata, owner.id, from)) {
        for (const { path } of page) {
          at = path
          requireWanted()
          const folder = await folders.copy(owner, path, target(path), conditions)
          onStep?.(folder)
          const failure = await copyContent(owner, path, target(path), { ...conditions, onStep })
          if (failure !== undefined) return failure
        }
      }
      return undefined
    } catch (error) {
      return { path: at, error }
    }
  }

  return {
    copyFile,

    /**
     * Copies a folder to a path that is free and not in it, with all that is in the folder if `isDeep`: all of it must
     * fit. Each folder and each file has a transaction of its own. Stops at the first failure below the folder, and
     * returns it: what was copied stays.
     * @throws not_found, name_taken, name_invalid, quota_exceeded, and as its destination says.
     */
    async copyFolder (
      owner: AccountRecord, name: string, newName: string, { signal, onStep, ...destination }: AbortableCopy
    ): Promise<CopyFailure | undefined> {
      const { path } = await folders.get(owner.id, name)
      const target = folderPath(newName)
      const folder = await folders.copy(owner, path, target, destination)
      onStep?.(folder)
      if (destination.isDeep !== true) return undefined
      // If the copy is moved meanwhile, it is not continued elsewhere.
      return copyContent(owner, path, target, {
        tokens: destination.tokens, needsParent: true, signal, onStep
      })
    }
  }
}
