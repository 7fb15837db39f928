import { isBlobId } from '../blobs/blob-writer.ts'
import { ancestorsOf } from '../metadata/paths.ts'
import type { Precondition } from '../metadata/preconditions.ts'
import type { AccountRecord, FileRecord } from '../metadata/records.ts'
import type {
  ContentPage, ContentPosition, RemovedTrash, RestoredDeletion, RestoredEntry, VersionRecord
} from '../metadata/retention-records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { getName } from './names.ts'
import { type MadeEntry, stateOfFolder } from './states.ts'

/** Entries of the trash in one transaction. Each may have several versions. */
const BATCH = 50

/** Files in one batch of the restore of a deletion. On SQLite, 500 took up to 88 ms of the event loop. */
const RESTORE_BATCH = 50

interface VersionsPage {
  readonly limit: number
  readonly after: (fileId: number) => Promise<ContentPosition | undefined>
}

export type Versions = ReturnType<typeof createVersions>

/** Versions of files. Every method takes the owner, and content of other accounts does not exist. */
export function createVersions ({ metadata, space, files }: Pick<AppServices, 'metadata' | 'space' | 'files'>) {
  return {
    /**
     * A page of the versions of a file. `after`: reads the position from a cursor of this file.
     * @throws not_found, and what `after` throws.
     */
    async list (
      ownerId: number, name: string, { limit, after }: VersionsPage
    ): Promise<{ fileId: number, versions: VersionRecord[] }> {
      const { id: fileId } = await files.get(ownerId, name)
      return { fileId, versions: await metadata.versions.list(ownerId, fileId, { limit, after: await after(fileId) }) }
    },

    /** @throws not_found, precondition_failed, quota_exceeded. */
    async restore (
      owner: AccountRecord, { name, id, precondition }: { name: string, id: string, precondition: Precondition }
    ): Promise<FileRecord> {
      const quota = space.quotaOf(owner)
      return metadata.versions.restore(owner.id, getName(name), contentId(id), { quota, precondition })
    },

    /** @throws not_found. */
    async remove (ownerId: number, { name, id }: { name: string, id: string }): Promise<void> {
      return metadata.versions.remove(ownerId, getName(name), contentId(id))
    }
  }
}

export type Trash = ReturnType<typeof createTrash>

/**
 * The trash. Every method takes the owner, and content of other accounts does not exist. An operation of many
 * transactions ends between two of them if the server stops, and can be repeated.
 */
export function createTrash (
  { metadata, space, files, stopping }: Pick<AppServices, 'metadata' | 'space' | 'files' | 'stopping'>
) {
  const { changes, trash } = metadata

  async function removeAll (
    ownerId: number, onStep?: (removed: RemovedTrash) => void, deletedWith?: string
  ): Promise<RemovedTrash> {
    let removed: RemovedTrash = { entries: 0, files: 0, bytes: 0 }
    for (;;) {
      stopping.throwIfAborted()
      const { entries, files, bytes } = await trash.empty(ownerId, BATCH, deletedWith)
      if (entries === 0) return removed
      removed = { entries: removed.entries + entries, files: removed.files + files, bytes: removed.bytes + bytes }
      onStep?.(removed)
    }
  }

  return {
    /**
     * Restores a file. `name`: another name for it.
     * @throws not_found, name_taken, quota_exceeded, name_invalid, extension_not_allowed.
     */
    async restore (owner: AccountRecord, id: string, name: string | undefined): Promise<FileRecord> {
      const accepted = name === undefined ? undefined : files.acceptName(name)
      return trash.restore(owner.id, contentId(id), { name: accepted, quota: space.quotaOf(owner) })
    },

    /**
     * Restores in batches what one deletion took. What can't be restored stays in the trash.
     * @throws not_found if nothing of it is in the trash, stopping.
     */
    async restoreDeletion (
      owner: AccountRecord, deletedWith: string
    ): Promise<{ restored: number, kept: RestoredDeletion['kept'][number][], placed: MadeEntry[] }> {
      const since = Number((await changes.newest([owner.id])).get(owner.id))
      const quota = space.quotaOf(owner)
      const id = contentId(deletedWith)
      const restored: RestoredEntry[] = []
      const refused: RestoredDeletion['kept'][number][] = []
      let after: ContentPosition | undefined
      let isThere = false
      do {
        stopping.throwIfAborted()
        const batch = await trash.restoreDeletion(owner.id, id, { quota, after, limit: RESTORE_BATCH })
        restored.push(...batch.restored)
        refused.push(...batch.kept)
        after = batch.last
        isThere ||= after !== undefined
      } while (after !== undefined)
      if (!isThere) throw new Problem('not_found')
      const files = restored.filter(({ file }) => file !== undefined)
      return { restored: files.length, kept: refused, placed: outermostOf(restored, since) }
    },

    /** @throws not_found. */
    async remove (ownerId: number, id: string): Promise<void> {
      return trash.remove(ownerId, contentId(id))
    },

    /** A page of what one deletion took. @throws not_found. */
    list: async (ownerId: number, deletedWith: string, page: ContentPage) =>
      trash.listDeletion(ownerId, contentId(deletedWith), page),

    /**
     * Deletes for good in batches what one deletion took. @throws not_found if nothing of it is in the trash, stopping.
     */
    async removeDeletion (ownerId: number, deletedWith: string): Promise<void> {
      const { entries } = await removeAll(ownerId, undefined, contentId(deletedWith))
      if (entries === 0) throw new Problem('not_found')
    },

    /** Deletes the trash in batches. @throws stopping. */
    empty: (ownerId: number, onStep?: (removed: RemovedTrash) => void) => removeAll(ownerId, onStep)
  }
}

/** The files and folders that a restore has made, without those in a folder that it made. */
function outermostOf (restored: readonly RestoredEntry[], since: number): MadeEntry[] {
  const files: MadeEntry[] = []
  const folders = new Map<string, { id: number, changes: number }>()
  for (const { name, file, made, changes } of restored) {
    const path = [...ancestorsOf(name), name].find(path => folders.has(path)) ?? made?.path
    if (path === undefined) {
      if (file !== undefined) files.push({ name, fileId: file.id, state: file.sha256 })
      continue
    }
    const { id, changes: before } = folders.get(path) ?? { id: Number(made?.id), changes: 0 }
    folders.set(path, { id, changes: before + changes })
  }
  const made = Array.from(folders, ([name, { id, changes }]) =>
    ({ name, folderId: id, state: stateOfFolder({ since, changes }) }))
  return [...files, ...made]
}

/** @throws not_found for an id that nothing can have. */
function contentId (id: string): string {
  if (!isBlobId(id)) throw new Problem('not_found')
  return id
}
