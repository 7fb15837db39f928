import { isBlobId, type Reserve } from '../blobs/blob-store.ts'
import type { KeptPage, KeptPosition, RemovedTrash, TrashRecord, VersionRecord } from '../metadata/kept-repository.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { Precondition } from '../metadata/preconditions.ts'
import type { AccountRecord, FileRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { Files } from './files.ts'
import { findFileName } from './names.ts'
import type { Quotas } from './quotas.ts'

/** Entries of the trash in one transaction. Each may have several versions. */
const BATCH = 50

type Page = Pick<KeptPage, 'after' | 'limit'>

/** Versions and trash. Every method takes the owner, and content of other accounts does not exist. */
export interface KeptFiles {
  /** A page of the versions of a file. `after`: reads the position from a cursor of this file. @throws not_found, and what `after` throws. */
  listVersions (ownerId: number, name: string, page: { limit: number, after: (fileId: number) => Promise<KeptPosition | undefined> }): Promise<{ fileId: number, versions: VersionRecord[] }>
  /** @throws not_found, precondition_failed, quota_exceeded. */
  restoreVersion (owner: AccountRecord, version: { name: string, id: string, precondition: Precondition }): Promise<FileRecord>
  /** @throws not_found. */
  removeVersion (ownerId: number, version: { name: string, id: string }): Promise<void>
  listTrash (ownerId: number, page: Page): Promise<TrashRecord[]>
  /** `name`: another name for the file. @throws not_found, name_taken, quota_exceeded, name_invalid, extension_not_allowed. */
  restoreFile (owner: AccountRecord, id: string, name: string | undefined): Promise<FileRecord>
  /** @throws not_found. */
  removeFromTrash (ownerId: number, id: string): Promise<void>
  /** Deletes the trash in batches. */
  emptyTrash (ownerId: number): Promise<RemovedTrash>
}

interface KeptFilesOptions {
  metadata: Metadata
  reserve: Reserve
  quotas: Quotas
  files: Pick<Files, 'acceptName' | 'get' | 'sweep'>
}

export function createKeptFiles ({ metadata, reserve, quotas, files }: KeptFilesOptions): KeptFiles {
  /** Changes what is kept, also on a full disk, and then requests the removal of bytes. */
  async function change<T> (write: () => Promise<T>): Promise<T> {
    const result = await reserve.withSpace(write)
    files.sweep()
    return result
  }

  return {
    async listVersions (ownerId, name, { limit, after }) {
      const { id: fileId } = await files.get(ownerId, name)
      return { fileId, versions: await metadata.kept.listVersions(ownerId, fileId, { limit, after: await after(fileId) }) }
    },

    restoreVersion: (owner, { name, id, precondition }) => change(() => metadata.kept.restoreVersion(owner.id, storedName(name), contentId(id), { quota: quotas.of(owner), precondition })),

    removeVersion: (ownerId, { name, id }) => change(() => metadata.kept.removeVersion(ownerId, storedName(name), contentId(id))),

    listTrash: (ownerId, page) => metadata.kept.listTrash(ownerId, page),

    restoreFile (owner, id, name) {
      const accepted = name === undefined ? undefined : files.acceptName(name)
      return change(() => metadata.kept.restoreFile(owner.id, contentId(id), { name: accepted, quota: quotas.of(owner) }))
    },

    removeFromTrash: (ownerId, id) => change(() => metadata.kept.removeFromTrash(ownerId, contentId(id))),

    async emptyTrash (ownerId) {
      let removed: RemovedTrash = { files: 0, bytes: 0 }
      for (;;) {
        const { files, bytes } = await change(() => metadata.kept.emptyTrash(ownerId, BATCH))
        removed = { files: removed.files + files, bytes: removed.bytes + bytes }
        if (files === 0) return removed
      }
    }
  }
}

/** @throws not_found for a name that no file can have. */
function storedName (name: string): string {
  const stored = findFileName(name)
  if (stored === undefined) throw new Problem('not_found')
  return stored
}

/** @throws not_found for an id that nothing can have. */
function contentId (id: string): string {
  if (!isBlobId(id)) throw new Problem('not_found')
  return id
}
