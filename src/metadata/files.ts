import { and, asc, between, eq, gt } from 'drizzle-orm'
import { fileTaken, Problem, type RefusalReason, refusalAmong } from '../problems.ts'
import type { Conditions, Destination, EntryChange } from './conditions.ts'
import type { Engine } from './engine.ts'
import { fileColumns, hasPath, isInFolder } from './columns.ts'
import { type StoreContext, updateTimeOf } from './file-contents.ts'
import { createFileListing } from './listings.ts'
import { createFileSearch } from './file-search.ts'
import { requireFree } from './folder-tree.ts'
import { createStarredFiles } from './stars.ts'
import { targetsOfRemoval, targetsOfStored, UNKNOWN_TIME } from './lock-guard.ts'
import type { NewLock } from './lock-records.ts'
import {
  type Db, isAny, limitedTo, matching, pipeline, placeholder, placeholders, prepared, query, type Rule
} from './rule.ts'
import { segmentColumns, splitPath } from './paths.ts'
import { entityTag } from './preconditions.ts'
import type { FileRecord, NewFile, Quota } from './records.ts'
import type { Deletion } from './retention-records.ts'
import type { Services } from './services.ts'
import type { StoreResult } from './upload-records.ts'

/** Why one of many files is not deleted. */
const REFUSALS = ['not_found', 'precondition_failed', 'file_locked'] as const

/** A file that is to be deleted if it has the id, and the sha256 that is its state. */
interface WantedRemoval {
  readonly name: string
  readonly id?: string | undefined
  readonly state?: string | undefined
}

/**
 * Files by owner and name. A name is a path. A write that stores, moves or restores a file makes its missing parents in
 * the same transaction, and fails with `name_taken` if a folder has the name or a file has that of a parent.
 */
export type FileRepository = ReturnType<typeof createFiles>

export function createFiles (services: Services) {
  const { engine, owners, tree, contents, retention, guard, changeLog, members, read, write } = services
  const { tables } = engine
  const { files } = tables
  const queries = queriesOf(engine)

  /** Runs what stores a file, unless that stays as it is. */
  const storeBy = <T>(file: NewFile, quota: Quota, store: (context: StoreContext) => Rule<T>) =>
    retention.transactEvicting(file.ownerId, function * () {
      return yield * store(yield * contents.contextOf(file.ownerId, file.name, quota))
    })

  return {
    /**
     * Adds a file under a free name. If the owner has a file of that name with the same size and sha256, nothing
     * changes: `isNew` is false, and the new blob is not used.
     * @throws name_taken if the existing file has other bytes, quota_exceeded, not_found if the owner was deleted.
     */
    add: (file: NewFile, quota: Quota) => storeBy(file, quota, function * (context): Rule<StoreResult> {
      const { current } = context
      if (current === undefined) {
        yield * guard.admit(context, {}, targetsOfStored(file.name, context))
        return yield * contents.store(file, context)
      }
      if (current.sha256 !== file.sha256 || current.size !== file.size) throw fileTaken(file.name)
      return { file: current, isNew: false }
    }),

    /**
     * Adds a file, or replaces the bytes of the file with that name. The old ones are kept as a version, or discarded.
     * @throws precondition_failed if the precondition does not permit it, name_taken, quota_exceeded (only the
     * difference counts), not_found if the owner was deleted, parent_missing, file_locked, too_many_locks. With
     * `lock` it only adds one under a free name, and locks it: @throws name_taken.
     */
    put: (
      file: NewFile, quota: Quota, conditions: Conditions, lock?: NewLock
    ) => storeBy(file, quota, function * (context) {
      if (lock !== undefined && context.current !== undefined) throw fileTaken(file.name)
      yield * guard.admit(context, conditions, targetsOfStored(file.name, context))
      const stored = yield * contents.store(file, context)
      if (lock !== undefined) yield * guard.add(context, lock)
      return stored
    }),

    /**
     * Adds a copy of a file, with its dead properties, or with `overwrites` replaces the file that has the name. The
     * caller has copied the bytes of `source.blobId` to the blob of `file`. The precondition is about the source.
     * Undefined if that has other bytes by now.
     * @throws not_found, precondition_failed, name_taken, parent_missing, file_locked, quota_exceeded.
     */
    copy: (
      { name, blobId }: Pick<FileRecord, 'name' | 'blobId'>, file: NewFile, quota: Quota, destination: Destination
    ) => storeBy(file, quota, function * (context) {
      const source = yield * contents.find(file.ownerId, name)
      if (source === undefined) throw new Problem('not_found')
      if (source.blobId !== blobId) return undefined
      yield * guard.admit({ ...context, current: source }, destination, targetsOfStored(file.name, context))
      if (context.current !== undefined && destination.overwrites !== true) throw fileTaken(file.name)
      yield * guard.end(context, file.name)
      const stored = yield * contents.store(file, context)
      yield * contents.copyProperties(stored.file.id, source.id)
      return stored
    }),

    find: (ownerId: number, name: string) =>
      engine.readCached(`${ownerId}/${name}`, () => contents.find(ownerId, name)),

    /**
     * The file of a name, and how many folders would be made for it. `announced`: a `put` under these conditions, and
     * the account's `lockedUntil`; throws what that would throw because of conditions and locks.
     * @throws name_taken if no file can have it.
     */
    findPlace: read(function * (
      ownerId: number, name: string, announced?: { readonly conditions: Conditions, readonly lockedUntil: number }
    ): Rule<{ readonly file: FileRecord | undefined, readonly newFolders: number }> {
      const [file, known] = yield * pipeline(contents.find(ownerId, name), tree.known(ownerId, name))
      if (file !== undefined && announced === undefined) return { file, newFolders: 0 }
      const place = yield * tree.place(ownerId, name, known)
      if (announced !== undefined) {
        const { conditions, lockedUntil } = announced
        const context = { owner: { id: ownerId, lockedUntil }, time: UNKNOWN_TIME, current: file, place }
        yield * guard.admit(context, conditions, targetsOfStored(name, context))
      }
      requireFree(place)
      return { file, newFolders: place.missing.length }
    }),

    /** A free path for a file or folder in the folder of this one, which has a number if it must. @throws not_found. */
    findFree: read(function * (ownerId: number, path: string): Rule<string> {
      const { folder, name } = splitPath(path)
      return yield * tree.freePath(ownerId, { id: yield * tree.idOf(ownerId, folder), path: folder }, name)
    }),

    /** Whether the owner has a file of `minBytes` to `maxBytes`, both inclusive, directly in a folder. */
    hasOfSize: read((ownerId: number, within: { folder: string, minBytes: number, maxBytes: number }) =>
      queries.ofSize({ ownerId, ...within }, isAny)),

    /**
     * One page in the given order. Concurrent changes never make a file that stays in its folder appear on two pages.
     * @throws not_found if the folder does not exist.
     */
    list: read(createFileListing(services)),

    /** One page of the files that have a star: in a folder, or everywhere. @throws not_found. */
    listStarred: read(createStarredFiles(services)),

    /** One page of the files directly in any of some folders. Folders that do not exist have none. */
    listIn: read(members.files.listIn),

    /**
     * One page of the files whose last segment contains some texts, in the given order; compares without case and
     * accents, as `fold` does. Reads names in many short queries: one of a file that is moved or renamed meanwhile can
     * be missing. It ends after 100,000 names, to which folders below the given one count: in the orders `name` and
     * `-name` the next page goes on, in another one these are the best files of the first names by folder and name.
     * Searches of one account run one after another.
     * @throws not_found if the folder does not exist.
     */
    search: createFileSearch(services),

    /**
     * Renames, moves or stars a file; its bytes and `createdAt` do not change, and `updatedAt` only with the last
     * segment. No lock refuses a star alone.
     * With `overwrites`, a file that has the new name gets the content, the times and the dead properties instead, as
     * by a copy, and the renamed file ends: its versions go to the trash under its name.
     * @throws not_found, precondition_failed, name_taken, parent_missing, file_locked, quota_exceeded.
     */
    rename: write(function * (
      ownerId, name: string, newName: string, quota: Quota, destination: EntryChange = {}
    ): Rule<FileRecord> {
      const context = yield * contents.contextOf(ownerId, newName, quota)
      const current = yield * contents.find(ownerId, name)
      if (current === undefined) throw new Problem('not_found')
      const { time, current: overwritten } = context
      const { modifiedAt = current.modifiedAt, isStarred = current.isStarred } = destination
      if (newName === name) {
        guard.requirePrecondition({ current, place: context.place }, destination)
        if (isStarred === current.isStarred) return current
        const [starred] = yield * pipeline(
          contents.star(current.id, isStarred), changeLog.starred(current.id, { ownerId, name, at: time })
        )
        return starred
      }
      const targets = [targetsOfRemoval(name), targetsOfStored(newName, context)]
      yield * guard.admit({ ...context, current }, destination, ...targets)
      if (overwritten !== undefined) return yield * contents.moveInto(overwritten, current, context, destination)
      const folderId = yield * contents.makeParents({ bytes: 0, files: 0 }, context)
      yield * guard.end(context, name)
      const segment = segmentColumns(newName)
      // A move alone does not change what a download of the file says.
      const updatedAt = segment.name === splitPath(name).name ? current.updatedAt : updateTimeOf(current, time)
      const rename = (db: Db) => db.update(files).set({ folderId, ...segment, updatedAt, modifiedAt, isStarred })
        .where(eq(files.id, current.id)).returning(fileColumns(tables))
      const [[renamed]] = yield * pipeline(
        query(rename), changeLog.moved(current.id, { ownerId, name: newName, fromName: name, at: time })
      )
      return renamed as FileRecord
    }),

    /** Sets the date of a file to now if it is later: the clock was set back. No error if the file does not exist. */
    correctDate (ownerId: number, name: string): Promise<void> {
      const isTooLate = and(hasPath(tables, { ownerId, ...splitPath(name) }), gt(files.updatedAt, engine.clock))
      const correct = (db: Db) => db.update(files).set({ updatedAt: engine.clock }).where(isTooLate)
      return engine.apply(() => query(correct, () => {}), ownerId)
    },

    /**
     * Deletes a file. It is kept in the trash, unless `isPermanent` or nothing is kept: then its blob and those of its
     * versions become discarded.
     * @throws not_found, precondition_failed, file_locked.
     */
    remove: write(function * (
      ownerId, name: string, removal: { precondition: Conditions, isPermanent: boolean }
    ) {
      const [owner, current, time] = yield * pipeline(
        owners.lock(ownerId), contents.find(ownerId, name), engine.now()
      )
      yield * contents.remove({ owner, current, time }, removal)
    }),

    /** Moves files with different names to the trash. Returns why others are refused, by name. */
    removeMany: write(function * (
      ownerId, wanted: readonly WantedRemoval[], deletion: Deletion
    ) {
      const [owner, time, ...found] = yield * pipeline(
        owners.lock(ownerId), engine.now(), ...wanted.map(({ name }) => contents.find(ownerId, name))
      )
      const removed: FileRecord[] = []
      const refused = new Map<string, RefusalReason<typeof REFUSALS[number]>>()
      for (const [index, { name, id, state }] of wanted.entries()) {
        const current = found[index]
        try {
          if (current === undefined) throw new Problem('not_found')
          const conditions = { id, 'if-match': state === undefined ? undefined : entityTag(state) }
          yield * guard.admit({ owner, current, time }, conditions, targetsOfRemoval(name))
          removed.push(current)
        } catch (error) {
          refused.set(name, refusalAmong(REFUSALS, error))
        }
      }
      if (removed.length > 0) yield * contents.removeAll({ owner, time }, removed, { isPermanent: false, deletion })
      return refused
    })
  }
}

function queriesOf ({ tables }: Engine) {
  const { files } = tables
  return prepared('files', {
    ofSize: db => db.select({ id: files.id }).from(files).where(and(
      matching(files, 'ownerId'),
      isInFolder(tables, placeholders('ownerId', 'folder')),
      between(files.size, placeholder('minBytes'), placeholder('maxBytes'))
    )).orderBy(limitedTo(asc(files.size), 1))
  })
}
