import { eq, sql } from 'drizzle-orm'
import { fileTaken, Problem } from '../problems.ts'
import { createLeaseEnder } from './blobs.ts'
import type { Conditions, Destination } from './conditions.ts'
import type { Engine } from './engine.ts'
import { fileColumns, hasPath } from './columns.ts'
import { type TreeSlot, requireFree } from './folder-tree.ts'
import type { Retention } from './retention.ts'
import type { Deletion, RetainedRow } from './retention-records.ts'
import { targetsOf, targetsOfNew, targetsOfRemoval } from './lock-guard.ts'
import { bytesToEvict, type Owner, refuseBeyondQuota, usedBy } from './owners.ts'
import { segmentColumns, splitPath } from './paths.ts'
import { factsOf } from './pictures.ts'
import type { FileRecord, NewFile, Quota } from './records.ts'
import {
  existing, first, matching, pipeline, placeholder, placeholders, prepared, query, type QueryRule, type Rule
} from './rule.ts'
import type { StoreResult, UploadUsage } from './upload-records.ts'
import type { BaseServices } from './services.ts'

/** What a change starts from: the owner, who is locked, the file of that name, and the time. */
export interface StoreContext {
  readonly owner: Owner
  readonly current: FileRecord | undefined
  /** Where a file of that name belongs. */
  readonly place: TreeSlot
  readonly time: number
  /** By uploads, but not by the one that becomes the file. */
  readonly reserved: UploadUsage
  readonly quota: Quota
  /** The link by which it is stored. */
  readonly linkId?: number
}

/** The content of a file. */
type FileContent = Pick<FileRecord, 'size' | 'type' | 'sha256' | 'blobId' | 'modifiedAt' | 'updatedAt' | 'storedAt'>

type RemovedFile = Pick<StoreContext, 'owner' | 'current' | 'time'>

interface FileRemoval { readonly precondition: Conditions, readonly isPermanent: boolean }

/** `deletion`: that of a folder or of many files; null for a file that is deleted alone. */
interface RemovalOfAll { readonly isPermanent: boolean, readonly deletion: Deletion | null }

/** Where the new content of a file comes from: an upload with a lease, a version, or a file that was deleted for it. */
interface ContentOrigin {
  readonly lease?: QueryRule<void> | undefined
  readonly version?: RetainedRow
  readonly source?: FileRecord
}

/** Changes files, kept content and the owner's usage in the current transaction, which has locked the owner. */
export type FileContents = ReturnType<typeof createFileContents>

export function createFileContents ({
  engine, owners, tree, retention, deletions, guard, changeLog, discard, pictureUse, retentionPolicy
}: BaseServices & { retention: Retention }) {
  const { tables } = engine
  const { files } = tables
  const queries = queriesOf(engine)
  const endLease = createLeaseEnder(engine)

  const find = (ownerId: number, name: string) =>
    queries.byPath({ ownerId, ...splitPath(name) }, first)

  /** Files got these contents, or have them no more. */
  function * settle (ownerId: number, ...changed: FileRecord[]): Rule<void> {
    const pictured = changed.filter(({ hasThumbnail, takenAt }) => hasThumbnail || takenAt !== null)
    if (pictured.length > 0) yield * pictureUse.settle(ownerId, pictured.map(({ sha256 }) => sha256))
  }

  /** Gives a file the dead properties of another one. */
  function copyProperties (id: number, from: number) {
    const properties = sql`(SELECT s.properties FROM files s WHERE s.id = ${from})`
    return query(db => db.update(files).set({ properties }).where(eq(files.id, id)))
  }

  /** Gives a file a star, or takes it. */
  const star = (id: number, isStarred: boolean) => query(
    db => db.update(files).set({ isStarred }).where(eq(files.id, id)).returning(fileColumns(tables)), existing
  )

  function * create (file: NewFile, context: StoreContext): Rule<FileRecord> {
    const { isLeased, ...values } = file
    const { ownerId, size, blobId } = file
    const { owner, reserved, time, quota, linkId } = context
    const folderId = yield * makeParents({ bytes: size, files: 1 }, context)
    const segment = segmentColumns(file.name)
    const [[created]] = yield * pipeline(
      queries.insert({ ...values, folderId, ...segment, createdAt: time, updatedAt: time, storedAt: time }),
      changeLog.stored(file, time, linkId),
      owners.charge(ownerId, { usedBytes: size, usedFiles: 1 }),
      isLeased ? endLease(blobId) : undefined
    )
    const bytes = bytesToEvict(quota, { owner, reserved, arrivedBytes: size })
    yield * retention.evict(ownerId, { bytes, time })
    yield * settle(ownerId, created as FileRecord)
    return created as FileRecord
  }

  /**
   * Checks the name and the quota of something new, then makes its missing parents. Returns the id of its folder.
   * @throws name_taken, quota_exceeded.
   */
  function * makeParents (
    added: { bytes: number, files: number }, { owner, reserved, place, time, quota }: StoreContext
  ): Rule<number> {
    requireFree(place)
    const withParents = { ...added, files: added.files + place.missing.length }
    refuseBeyondQuota(quota, usedBy(owner, reserved), withParents)
    return yield * tree.makeParents(owner.id, place, time)
  }

  function * replace (
    current: FileRecord, { size, type, sha256, blobId, modifiedAt, isLeased }: NewFile, context: StoreContext
  ): Rule<FileRecord> {
    const { owner, reserved, time, quota } = context
    const updatedAt = updateTimeOf(current, time)
    const next = { size, type, sha256, blobId, modifiedAt, updatedAt, storedAt: updatedAt }
    const lease = isLeased ? endLease(blobId) : undefined
    const { replaced, keptBytes } = yield * swapContent(current, next, context, { lease })
    const bytes = bytesToEvict(quota, { owner, reserved, arrivedBytes: size - current.size + keptBytes })
    yield * retention.evict(owner.id, { bytes, newest: current.blobId, time })
    yield * retention.trim(owner, { newest: current.blobId, added: 1, time })
    return replaced
  }

  /**
   * Replaces the content of a file, and keeps or discards the old one. Returns the file, and by how much `keptBytes`
   * grew.
   */
  function * swapContent (
    current: FileRecord, next: FileContent, context: StoreContext, { lease, version, source }: ContentOrigin
  ) {
    const { owner, reserved, time, quota } = context
    const { id, ownerId, name, blobId } = current
    const bytes = next.size - current.size - (source?.size ?? 0)
    refuseBeyondQuota(quota, usedBy(owner, reserved), { bytes, files: 0 })
    const isKept = retention.keepsReplaced(current, next)
    const keptBytes = (isKept ? current.size : 0) - (version?.size ?? 0)
    const keptCount = Number(isKept) - Number(version !== undefined)
    const usedFiles = source === undefined ? 0 : -1
    const [, [replaced], , surplus] = yield * pipeline(
      version && retention.take(version),
      queries.update({ ...next, id }),
      isKept ? retention.keepVersion(current, next.updatedAt) : discard([blobId], time),
      isKept ? retention.surplusOf(current) : undefined,
      changeLog.stored({ ownerId, name, blobId: next.blobId }, time),
      owners.charge(ownerId, { usedBytes: bytes, usedFiles, keptBytes, keptContents: keptCount }),
      lease
    )
    const dropped = yield * retention.drop(surplus ?? [], time)
    yield * settle(ownerId, current, replaced as FileRecord)
    return { replaced: replaced as FileRecord, keptBytes: keptBytes - dropped }
  }

  /** Deletes files of the owner; at least one. */
  function * removeAll (
    { owner, time }: Omit<RemovedFile, 'current'>,
    removed: readonly FileRecord[],
    { isPermanent, deletion }: RemovalOfAll
  ): Rule<void> {
    const ids = removed.map(({ id }) => id)
    const blobIds = removed.map(({ blobId }) => blobId)
    const bytes = removed.reduce((sum, { size }) => sum + size, 0)
    const isKept = retentionPolicy.milliseconds > 0 && !isPermanent
    const keptCount = isKept ? ids.length : 0
    const keptAt = Math.max(...removed.map(file => updateTimeOf(file, time)))
    const [versions] = yield * pipeline(
      isKept ? undefined : retention.versionsOf(ids),
      isKept
        ? retention.keepDeleted(owner.id, ids, { keptAt, deletedWith: deletion?.id ?? null })
        : discard(blobIds, time),
      isKept && deletion !== null
        ? deletions.add(owner.id, deletion, { files: keptCount, folders: 0, size: bytes }, keptAt)
        : undefined,
      changeLog.deleted(ids, time),
      queries.remove({ ids }),
      owners.charge(owner.id, {
        usedBytes: -bytes, usedFiles: -ids.length, keptBytes: isKept ? bytes : 0, keptContents: keptCount
      })
    )
    yield * retention.drop(versions ?? [], time)
    yield * settle(owner.id, ...removed)
    yield * retention.trim(owner, { newest: String(blobIds.at(-1)), added: keptCount, time })
  }

  return {
    find,
    copyProperties,
    star,
    makeParents,
    removeAll,

    /**
     * Locks the owner, and finds what a change of the file with this name must know.
     * @throws not_found if the owner was deleted.
     */
    * contextOf (ownerId: number, name: string, quota: Quota): Rule<StoreContext> {
      const [owner, current, reserved, known] = yield * pipeline(
        owners.lock(ownerId), find(ownerId, name), owners.reserved(ownerId), tree.known(ownerId, name)
      )
      const place = yield * tree.place(ownerId, name, known)
      return { owner, current, place, time: reserved.time, reserved, quota }
    },

    /**
     * Adds a file with the parents that are missing, or replaces the content of the one that has its name.
     * @throws name_taken, quota_exceeded, unavailable if the lease of the blob ran out.
     */
    * store (file: NewFile, context: StoreContext): Rule<StoreResult> {
      const { current } = context
      if (current === undefined) return { file: yield * create(file, context), isNew: true }
      return { file: yield * replace(current, file, context), isNew: false }
    },

    /** Moves a file that has the name to the trash, if it may be overwritten. @throws name_taken. */
    * clear ({ owner, current, time }: StoreContext, { overwrites = false }: Destination): Rule<void> {
      if (current === undefined) return
      if (!overwrites) throw fileTaken(current.name)
      yield * guard.end({ owner, time }, current.name)
      yield * removeAll({ owner, time }, [current], { isPermanent: false, deletion: null })
    },

    /**
     * Gives the file that has the name the content of another one, which ends: its versions go to the trash. It has a
     * star if one of the two had.
     * @throws name_taken unless files may be overwritten.
     */
    * moveInto (
      current: FileRecord, source: FileRecord, context: StoreContext, destination: Destination
    ): Rule<FileRecord> {
      const { owner, time } = context
      if (destination.overwrites !== true) throw fileTaken(current.name)
      yield * guard.end({ owner, time }, source.name, current.name)
      yield * retention.trashVersions(source, { keptAt: updateTimeOf(source, time), time })
      const ids = [source.id]
      // Before the blob is that of another file.
      yield * pipeline(
        copyProperties(current.id, source.id),
        source.isStarred ? star(current.id, true) : undefined,
        changeLog.deleted(ids, time),
        queries.remove({ ids })
      )
      const { size, type, sha256, blobId, storedAt } = source
      const { modifiedAt = source.modifiedAt } = destination
      const next = { size, type, sha256, blobId, storedAt, modifiedAt, updatedAt: updateTimeOf(current, time) }
      const { replaced } = yield * swapContent(current, next, context, { source })
      yield * retention.trim(owner, { newest: current.blobId, added: 1, time })
      return replaced
    },

    /** @throws not_found, precondition_failed, file_locked. */
    * remove ({ owner, current, time }: RemovedFile, { precondition, isPermanent }: FileRemoval): Rule<void> {
      if (current === undefined) throw new Problem('not_found')
      yield * guard.admit({ owner, current, time }, precondition, targetsOfRemoval(current.name))
      yield * guard.end({ owner, time }, current.name)
      yield * removeAll({ owner, time }, [current], { isPermanent, deletion: null })
    },

    /** Gives a file the content of a version. @throws precondition_failed, file_locked, quota_exceeded. */
    * restoreVersion (
      current: FileRecord, version: RetainedRow, context: StoreContext, precondition: Conditions
    ): Rule<FileRecord> {
      yield * guard.admit({ ...context, current }, precondition, targetsOf(current.name))
      const { id: blobId, size, type, sha256, storedAt, modifiedAt } = version
      const updatedAt = updateTimeOf(current, context.time)
      const next = { size, type, sha256, blobId, modifiedAt, updatedAt, storedAt }
      return (yield * swapContent(current, next, context, { version })).replaced
    },

    /** Makes a file of an entry of the trash. @throws name_taken, file_locked, quota_exceeded. */
    * restoreFile (entry: RetainedRow, name: string, context: StoreContext): Rule<FileRecord> {
      const { owner, current, place, time } = context
      const { id: blobId, fileId: id, size, keptAt } = entry
      if (current !== undefined) throw fileTaken(name)
      yield * guard.admit(context, {}, targetsOfNew(name, place))
      const folderId = yield * makeParents({ bytes: size, files: 1 }, context)
      const properties = sql`(SELECT k.properties FROM kept k WHERE k.id = ${blobId})`
      const updatedAt = Math.max(keptAt, time)
      const facts = factsOf(owner.id, entry.sha256)
      const values = { ...entry, id, folderId, ...segmentColumns(name), blobId, updatedAt, properties, ...facts }
      const [[restored]] = yield * pipeline(
        query(db => db.insert(files).values(values as never).returning(fileColumns(tables))),
        changeLog.stored({ ownerId: owner.id, name, blobId }, time),
        owners.charge(owner.id, { usedBytes: size, usedFiles: 1, keptBytes: -size, keptContents: -1 }),
        retention.take(entry)
      )
      yield * settle(owner.id, restored as FileRecord)
      return restored as FileRecord
    }
  }
}

function queriesOf ({ tables, isAmong }: Engine) {
  const { files } = tables
  const record = fileColumns(tables)
  return prepared('files', {
    byPath: db => db.select(record).from(files).where(hasPath(tables, placeholders('ownerId', 'folder', 'name'))),
    insert: db => db.insert(files).values({
      ...placeholders(
        'ownerId', 'folderId', 'name', 'sortKey', 'size', 'type', 'sha256', 'blobId', 'createdAt', 'updatedAt',
        'storedAt', 'modifiedAt'
      ),
      ...factsOf(placeholder('ownerId'), placeholder('sha256'))
    }).returning(record),
    update: db => db.update(files)
      .set({
        ...placeholders('size', 'type', 'sha256', 'blobId', 'updatedAt', 'storedAt', 'modifiedAt'),
        // With the name of the table: in the subquery it would be another one.
        ...factsOf(sql`files.owner_id`, placeholder('sha256'))
      })
      .where(matching(files, 'id')).returning(record),
    remove: db => db.delete(files).where(isAmong(files.id, 'ids'))
  })
}

/** If the clock was set back, a changed file must not look older than before. */
export function updateTimeOf (current: FileRecord, time: number): number {
  return Math.max(current.updatedAt, time)
}
