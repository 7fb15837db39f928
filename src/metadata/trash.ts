import { Problem } from '../problems.ts'
import type { FileRecord, Quota } from './records.ts'
import { formerContent, retentionQueries } from './retention-queries.ts'
import {
  type ContentPage, MAX_DELETIONS, type RemovedTrash, type RestoredDeletion, type TrashRecord
} from './retention-records.ts'
import { existing, pipeline, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** Why a file of a recursive deletion stays in the trash. */
const REFUSALS = ['name_taken', 'quota_exceeded', 'file_locked'] as const

/** The trash: a part of the contract of {@link Metadata}, see {@link VersionRepository}. */
export type TrashRepository = ReturnType<typeof createTrash>

export function createTrash ({
  engine, owners, tree, contents, retention, retentionPolicy, read, write, ownerWrite
}: Services) {
  const queries = retentionQueries(engine, retentionPolicy)

  const get = (ownerId: number, id: string) => query(queries.entryById(ownerId, id), existing)

  return {
    /** Newest deleted first. */
    list: read((ownerId: number, page: ContentPage) =>
      query(queries.trashOf(ownerId, page), rows => rows.map((row): TrashRecord => ({
        ...formerContent(row, retentionPolicy),
        name: String(row.name),
        deletedWith: row.deletedWith,
        versions: Number(row.versions)
      })))),

    /**
     * Restores a deleted file with its versions, under its name or `name`; missing parents are made.
     * @throws not_found, name_taken, file_locked, quota_exceeded.
     */
    restore: write(function * (
      ownerId, id: string, { name, quota }: { name: string | undefined, quota: Quota }
    ) {
      const [, entry] = yield * pipeline(owners.lock(ownerId), get(ownerId, id))
      const restored = name ?? String(entry.name)
      return yield * contents.restoreFile(entry, restored, yield * contents.contextOf(ownerId, restored, quota))
    }),

    /**
     * Restores up to `limit` of the files that one recursive deletion took, the first deleted first. What can't be
     * restored stays in the trash, and is in `kept` with the reason.
     */
    restoreDeletion: write(function * (
      ownerId, deletedWith: string, { quota, ...page }: ContentPage & { quota: Quota }
    ): Rule<RestoredDeletion> {
      yield * owners.lock(ownerId)
      const entries = yield * query(queries.entriesOf(ownerId, deletedWith, page))
      const names = entries.map(({ name }) => String(name))
      // Found for all at once: PostgreSQL would need two more round trips for each.
      const [locked, reserved, known, ...found] = yield * pipeline(
        owners.lock(ownerId),
        owners.reserved(ownerId),
        tree.known(ownerId, ...names),
        ...names.map(name => contents.find(ownerId, name))
      )
      const files = new Map<string, FileRecord | undefined>(names.map((name, index) => [name, found[index]]))
      const kept: RestoredDeletion['kept'][number][] = []
      let owner = locked
      for (const entry of entries) {
        const name = String(entry.name)
        try {
          const place = yield * tree.place(ownerId, name, known)
          const context = { owner, current: files.get(name), place, time: reserved.time, reserved, quota }
          files.set(name, yield * contents.restoreFile(entry, name, context))
          owner = {
            ...owner,
            usedBytes: owner.usedBytes + entry.size,
            usedFiles: owner.usedFiles + 1,
            usedFolders: owner.usedFolders + place.missing.length
          }
        } catch (error) {
          // They are found before anything is changed.
          if (!(error instanceof Problem) || !isOneOf(REFUSALS, error.code)) throw error
          kept.push({ name, code: error.code })
        }
      }
      const last = entries.at(-1)
      return { restored: entries.length - kept.length, kept, last: last && { key: last.keptAt, id: last.id } }
    }),

    /** Deletes an entry of the trash with its versions; the blobs become discarded. @throws not_found. */
    remove: ownerWrite(function * ({ owner, time }, id: string) {
      yield * get(owner.id, id)
      yield * retention.remove([id], time)
    }),

    /**
     * Deletes up to `limit` entries of the owner's trash with their versions, the oldest first; fewer, but at least
     * one, if these are more than `RetentionPolicy.deletions` contents. If none was deleted, the trash is empty.
     */
    empty: ownerWrite(function * ({ owner, time }, limit: number): Rule<RemovedTrash> {
      const { deletions = MAX_DELETIONS } = retentionPolicy
      const entries = firstWithin(yield * query(queries.oldestEntries(owner.id, limit)), deletions)
      const bytes = yield * retention.remove(entries.map(({ id }) => id), time)
      return { files: entries.length, bytes }
    })
  }
}

/** The first deleted files that together have at most `maxContents` contents; at least one. */
function firstWithin<T extends { readonly contents: number }> (files: readonly T[], maxContents: number): T[] {
  let sum = 0
  return files.filter(({ contents }, index) => {
    sum += contents
    return index === 0 || sum <= maxContents
  })
}

function isOneOf<T extends string> (texts: readonly T[], text: string): text is T {
  return texts.includes(text as T)
}
