import { codeAmong, fileTaken } from '../problems.ts'
import type { StoreContext } from './file-contents.ts'
import { type TreeSlot } from './folder-tree.ts'
import { targetsOfNew } from './lock-guard.ts'
import type { FileRecord, Quota } from './records.ts'
import { formerContent, retentionQueries } from './retention-queries.ts'
import {
  type ContentPage, type DeletionRecord, MAX_DELETIONS, MAX_RETAINED, type RemovedTrash, type RestoredDeletion,
  type RestoredEntry, type RetainedRow, type TrashRecord
} from './retention-records.ts'
import { existing, pipeline, query, type Rule } from './rule.ts'
import type { RowOf } from './schema.ts'
import type { Services } from './services.ts'

/** Why a file or folder of a deletion stays in the trash. */
const REFUSALS = ['name_taken', 'quota_exceeded', 'file_locked'] as const

/** The trash: a part of the contract of {@link Metadata}, see {@link VersionRepository}. */
export type TrashRepository = ReturnType<typeof createTrash>

export function createTrash ({
  engine, owners, tree, contents, deletions, retention, retentionPolicy, guard, read, write, ownerWrite
}: Services) {
  const queries = retentionQueries(engine, retentionPolicy)

  const get = (ownerId: number, id: string) => query(queries.entryById(ownerId, id), existing)
  const trashRecord = (row: RetainedRow & { readonly versions: number }): TrashRecord => ({
    ...formerContent(row, retentionPolicy),
    name: String(row.name),
    deletedWith: row.deletedWith,
    versions: row.versions
  })

  const deletionRecord = ({ deletedAt: keptAt, ...row }: RowOf<'deletions'>): DeletionRecord => ({
    ...row, deletedWith: row.id, keptAt, expiresAt: keptAt + retentionPolicy.milliseconds, file: undefined
  })

  const deletionOf = (row: RetainedRow & { readonly versions: number }): DeletionRecord => {
    const file = trashRecord(row)
    return { ...file, kind: 'file', files: 1, folders: 0, file }
  }

  /** Makes a folder of an entry, unless it is there, with its star. Returns how many folders were made. */
  function * restoreFolder (entry: RetainedRow, context: StoreContext): Rule<number> {
    const path = nameOf(entry)
    const { owner, current, place, time } = context
    const isMissing = !place.known.has(path)
    if (isMissing) {
      if (current !== undefined) throw fileTaken(path)
      yield * guard.admit(context, {}, targetsOfNew(path, place))
      const parentId = yield * contents.makeParents({ bytes: 0, files: 1 }, context)
      place.known.set(path, yield * tree.add(owner.id, { parentId, path, time }))
    }
    if (entry.isStarred) {
      yield * tree.star(Number(place.known.get(path)), true, { ownerId: owner.id, name: path, at: time })
    }
    yield * pipeline(retention.take(entry), owners.charge(owner.id, { keptContents: -1 }))
    return isMissing ? place.missing.length + 1 : 0
  }

  return {
    /** How many contents an account can keep before the oldest go; none go where nothing is kept. */
    countFree: read(function * (ownerId: number): Rule<number> {
      const { milliseconds, contents: maxContents = MAX_RETAINED } = retentionPolicy
      return milliseconds === 0 ? Infinity : maxContents - (yield * owners.read(ownerId)).keptContents
    }),

    /** Newest deleted first. */
    list: read((ownerId: number, page: ContentPage) =>
      query(queries.entries(ownerId, page, queries.isFile), rows => rows.map(trashRecord))),

    /** Deletions, newest first: those of folders and of many files, and files that were deleted alone. */
    listDeletions: read(function * (ownerId: number, page: ContentPage): Rule<DeletionRecord[]> {
      const [of, alone] = yield * pipeline(
        query(queries.deletionsOf(ownerId, page)), query(queries.entries(ownerId, page, queries.isAlone))
      )
      const all = [...of.map(deletionRecord), ...alone.map(deletionOf)]
      const byTime = (one: DeletionRecord, other: DeletionRecord) =>
        other.keptAt - one.keptAt || (one.id < other.id ? 1 : -1)
      return all.sort(byTime).slice(0, page.limit)
    }),

    /** What one deletion has in the trash, newest first. @throws not_found. */
    listDeletion: read(function * (ownerId: number, id: string, page: ContentPage) {
      const [deletion, entries] = yield * pipeline(
        query(queries.deletionById(ownerId, id), existing), query(queries.entries(ownerId, page, queries.isOf(id)))
      )
      return {
        deletion: deletionRecord(deletion),
        entries: entries.map(row => row.folder === null ? trashRecord(row) : { ...row, folder: row.folder })
      }
    }),

    /**
     * Restores a deleted file with its versions, under its name or `name`; missing parents are made.
     * @throws not_found, name_taken, file_locked, quota_exceeded.
     */
    restore: write(function * (
      ownerId, id: string, { name, quota }: { name: string | undefined, quota: Quota }
    ) {
      const [, entry] = yield * pipeline(owners.lock(ownerId), get(ownerId, id))
      const restored = name ?? String(entry.name)
      const file = yield * contents.restoreFile(entry, restored, yield * contents.contextOf(ownerId, restored, quota))
      yield * deletions.subtract([entry])
      return file
    }),

    /**
     * Restores up to `limit` of the files and folders that one deletion took, the first deleted first. What can't be
     * restored stays in the trash, and is in `kept` with the reason.
     */
    restoreDeletion: write(function * (
      ownerId, deletedWith: string, { quota, ...page }: ContentPage & { quota: Quota }
    ): Rule<RestoredDeletion> {
      yield * owners.lock(ownerId)
      const entries = yield * query(queries.entriesOf(ownerId, deletedWith, page))
      const names = entries.map(nameOf)
      // Found for all at once: PostgreSQL would need two more round trips for each.
      const [locked, reserved, known, ...found] = yield * pipeline(
        owners.lock(ownerId),
        owners.reserved(ownerId),
        tree.known(ownerId, ...names),
        ...names.map(name => contents.find(ownerId, name))
      )
      const files = new Map<string, FileRecord | undefined>(names.map((name, index) => [name, found[index]]))
      const kept: RestoredDeletion['kept'][number][] = []
      const restored: RestoredEntry[] = []
      const taken: RetainedRow[] = []
      let owner = locked
      for (const entry of entries) {
        const name = nameOf(entry)
        const isFile = entry.folder === null
        try {
          const place = yield * tree.place(ownerId, name, known)
          const context = { owner, current: files.get(name), place, time: reserved.time, reserved, quota }
          const newFolders = isFile ? place.missing.length : yield * restoreFolder(entry, context)
          const file = isFile ? yield * contents.restoreFile(entry, name, context) : undefined
          if (isFile) files.set(name, file)
          owner = {
            ...owner,
            usedBytes: owner.usedBytes + entry.size,
            usedFiles: owner.usedFiles + Number(isFile),
            usedFolders: owner.usedFolders + newFolders
          }
          taken.push(entry)
          restored.push({ name, file, made: madeFor(name, place, newFolders), changes: changesOf(entry, newFolders) })
        } catch (error) {
          // They are found before anything is changed.
          kept.push({ name, code: codeAmong(REFUSALS, error) })
        }
      }
      yield * deletions.subtract(taken)
      const last = entries.at(-1)
      return { restored, kept, last: last && { key: last.keptAt, id: last.id } }
    }),

    /** Deletes an entry of the trash with its versions; the blobs become discarded. @throws not_found. */
    remove: ownerWrite(function * ({ owner, time }, id: string) {
      yield * get(owner.id, id)
      yield * retention.remove([id], time)
    }),

    /**
     * Deletes up to `limit` entries of the owner's trash with their versions, or of one deletion, the oldest first;
     * fewer, but at least one, if these are more than `RetentionPolicy.deletions` contents.
     */
    empty: ownerWrite(function * ({ owner, time }, limit: number, deletedWith?: string): Rule<RemovedTrash> {
      const { deletions: maxContents = MAX_DELETIONS } = retentionPolicy
      const files = deletedWith === undefined ? yield * query(queries.oldestFiles(owner.id, limit)) : []
      const found = files.length > 0 ? files : yield * query(queries.oldestOfDeletions(owner.id, limit, deletedWith))
      const entries = firstWithin(found, maxContents)
      const bytes = yield * retention.remove(entries.map(({ id }) => id), time)
      return { entries: entries.length, files: entries.filter(({ folder }) => folder === null).length, bytes }
    })
  }
}

/** The outermost of the folders that were made for a file or folder that was restored. */
function madeFor (
  name: string, { known, missing: [path = name] }: TreeSlot, newFolders: number
): RestoredEntry['made'] {
  return newFolders === 0 ? undefined : { path, id: Number(known.get(path)) }
}

/** How many changes the restore of an entry was. */
function changesOf ({ folder, isStarred }: RetainedRow, newFolders: number): number {
  return newFolders + (folder === null ? 1 : Number(isStarred))
}

/** The path of a deleted file or folder. */
function nameOf ({ name, folder }: RetainedRow): string {
  return folder ?? String(name)
}

/** The first deleted files that together have at most `maxContents` contents; at least one. */
function firstWithin<T extends { readonly contents: number }> (files: readonly T[], maxContents: number): T[] {
  let sum = 0
  return files.filter(({ contents }, index) => {
    sum += contents
    return index === 0 || sum <= maxContents
  })
}
