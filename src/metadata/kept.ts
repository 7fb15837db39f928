import { asc, inArray } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { RetainedRow } from './retention.ts'
import { type Found, retentionQueries } from './retention-queries.ts'
import {
  type ContentPage, MAX_DELETIONS, type RemovedTrash, type RestoredDeletion, type TrashRecord, type VersionRecord
} from './retention-records.ts'
import type { Precondition } from './preconditions.ts'
import type { FileRecord, Quota } from './records.ts'
import { existing, pipeline, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** Why a file of a recursive deletion stays in the trash. */
const REFUSALS = ['name_taken', 'quota_exceeded', 'file_locked'] as const

/**
 * Versions and trash: a part of the contract of {@link Metadata}. A file that gets other bytes keeps its former content
 * as a version, and a deleted file its last content as an entry of the trash, with its versions. Both belong to the
 * file, whatever its name is.
 *
 * Kept content counts in `AccountRecord.keptBytes`. If a write would exceed the byte quota, its transaction deletes the
 * owner's oldest kept content, just enough to fit. It skips empty content. The content that this write itself replaces
 * is deleted last. Of unfinished uploads, only the bytes that have arrived count here. If the write needs the room of
 * more than `RetentionPolicy.deletions` contents, that many at a time are deleted in transactions before its own, each
 * only if the write would not be refused.
 *
 * An account keeps at most `RetentionPolicy.contents` contents. The transaction that keeps one more also deletes the
 * oldest beyond that, except the one that it keeps itself. An account may have more, from a version without this limit
 * or from a backup: then at most {@link MAX_TRIMMED} go with each such transaction.
 *
 * `keptAt` is the time of the replacement or deletion, but not before the file's last change. It is at least 1 ms later
 * than that of the file's other versions or, for a deleted file, of the other entries in the owner's trash that are
 * less than {@link FURTHEST_AHEAD_MILLISECONDS} ahead. So both lists keep the order of the changes, even if the clock
 * goes back. Files that one act of a recursive deletion takes have the same.
 *
 * Expired content is not found, nor are versions beyond the newest `RetentionPolicy.versions` of a file.
 */
export type KeptRepository = ReturnType<typeof createKept>

export function createKept ({
  engine, owners, tree, contents, retention, retentionPolicy, read, write, ownerWrite
}: Services) {
  const queries = retentionQueries(engine, retentionPolicy)

  const getVersion = (ownerId: number, name: string, id: string) =>
    query(queries.versionById(ownerId, name, id), {}, existing)

  const getEntry = (ownerId: number, id: string) => query(queries.entryById(ownerId, id), {}, existing)

  /** Locks accounts in the order of their ids, so that no two transactions wait for each other. Returns the ids. */
  const lockOwners = (ownerIds: readonly number[], lock = engine.locking) => {
    const { accounts } = engine.tables
    const ids = Array.from(new Set(ownerIds))
    return query(db => lock(db.select({ id: accounts.id }).from(accounts)
      .where(inArray(accounts.id, ids)).orderBy(asc(accounts.id))), {}, locked => locked.map(({ id }) => id))
  }

  const recordOf = (
    { name: _name, createdAt: _createdAt, deletedWith: _deletedWith, ...content }: RetainedRow
  ): VersionRecord => ({ ...content, expiresAt: content.keptAt + retentionPolicy.milliseconds })

  /** Deletes content that was found before its owners were locked, as far as it is still to be deleted. */
  function * removeStill (
    found: readonly Found[], findStill: typeof queries.stillExpired, lock?: Engine['locking']
  ): Rule<{ count: number, bytes: number }> {
    const owners = yield * lockOwners(found.map(({ ownerId }) => ownerId), lock)
    const still = yield * query(findStill(found, owners))
    return { count: still.length, bytes: yield * retention.remove(still.map(({ id }) => id), yield * engine.now()) }
  }

  return {
    /** Newest replaced first. */
    listVersions: read((ownerId: number, fileId: number, page: ContentPage) =>
      query(queries.versionsOf(ownerId, fileId, page), {}, rows => rows.map(recordOf))),

    /** A version of the file with this name, and the file; undefined if either does not exist. */
    findVersion: read((ownerId: number, name: string, id: string) => query(queries.versionById(ownerId, name, id), {},
      ([found]) => found && { file: found.file, version: recordOf(found.version) })),

    /**
     * Gives the file the content of a version, which leaves the list; the current content becomes a version, unless it
     * has the same bytes. `createdAt` stays.
     * @throws not_found, precondition_failed, file_locked, quota_exceeded.
     */
    restoreVersion: write(function * (
      ownerId, name: string, id: string, { quota, precondition }: { quota: Quota, precondition: Precondition }
    ) {
      const beginning = yield * contents.begin(ownerId, name, quota)
      const { file, version } = yield * getVersion(ownerId, name, id)
      return yield * contents.restoreVersion(file, version, beginning, precondition)
    }),

    /** Deletes a version; its blob becomes discarded. @throws not_found. */
    removeVersion: ownerWrite(function * ({ owner, time }, name: string, id: string) {
      yield * getVersion(owner.id, name, id)
      yield * retention.remove([id], time)
    }),

    /** Newest deleted first. */
    listTrash: read((ownerId: number, page: ContentPage) =>
      query(queries.trashOf(ownerId, page), {}, rows => rows.map((row): TrashRecord => ({
        ...recordOf(row as never),
        name: String(row.name),
        deletedWith: row.deletedWith,
        versions: Number(row.versions)
      })))),

    /**
     * Restores a deleted file with its versions, under its name or `name`; missing parents are made.
     * @throws not_found, name_taken, file_locked, quota_exceeded.
     */
    restoreFile: write(function * (
      ownerId, id: string, { name, quota }: { name: string | undefined, quota: Quota }
    ) {
      const [, entry] = yield * pipeline(owners.lock(ownerId), getEntry(ownerId, id))
      const restored = name ?? String(entry.name)
      return yield * contents.restoreFile(entry, restored, yield * contents.begin(ownerId, restored, quota))
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
          const beginning = { owner, current: files.get(name), place, time: reserved.time, reserved, quota }
          files.set(name, yield * contents.restoreFile(entry, name, beginning))
          const [bytes, folders] = [owner.bytes + entry.size, owner.folders + place.missing.length]
          owner = { ...owner, bytes, folders, files: owner.files + 1 }
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
    removeFromTrash: ownerWrite(function * ({ owner, time }, id: string) {
      yield * getEntry(owner.id, id)
      yield * retention.remove([id], time)
    }),

    /**
     * Deletes up to `limit` entries of the owner's trash with their versions, the oldest first; fewer, but at least
     * one, if these are more than `RetentionPolicy.deletions` contents. If none was deleted, the trash is empty.
     */
    emptyTrash: ownerWrite(function * ({ owner, time }, limit: number): Rule<RemovedTrash> {
      const { deletions = MAX_DELETIONS } = retentionPolicy
      const entries = firstWithin(yield * query(queries.oldestEntries(owner.id, limit)), deletions)
      const bytes = yield * retention.remove(entries.map(({ id }) => id), time)
      return { files: entries.length, bytes }
    }),

    /** Deletes up to `limit` kept contents of all owners that have expired; true if there may be more. */
    async removeExpired (limit: number): Promise<boolean> {
      // Usually there is none, and a write costs a sync.
      if ((await engine.read(() => query(queries.expired(1)))).length === 0) return false
      return engine.transact(function * () {
        const found = yield * query(queries.expired(limit))
        // Content of owners who are locked by others is left for the next time.
        return (yield * removeStill(found, queries.stillExpired, engine.skippingLocked)).count === limit
      })
    },

    /**
     * Deletes the longest-kept content of all owners, or of one, except empty content, until `bytes` or `limit` is
     * reached. Returns the deleted bytes; 0 if there was none.
     */
    removeOldest: (bytes: number, limit: number, ownerId?: number) => engine.transact(function * () {
      let missing = bytes
      const needed = (yield * query(queries.oldestOf(ownerId, limit))).filter(({ size }) => {
        const isNeeded = missing > 0
        missing -= size
        return isNeeded
      })
      return (yield * removeStill(needed, queries.stillOld)).bytes
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
