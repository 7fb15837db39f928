import { and, asc, desc, eq, gt, inArray, lte } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Conditions } from './conditions.ts'
import { fileColumns, isBelow } from './columns.ts'
import type { FolderRemoval, FolderRemovalPosition, Replacement } from './folder-records.ts'
import type { FolderRow } from './folder-tree.ts'
import { type Subject, targetsOfRemoval } from './lock-guard.ts'
import type { OwnerContext } from './methods.ts'
import { type Owner, refuseBeyondQuota, usedBy } from './owners.ts'
import { anyOf, isAny, pipeline, query, type Rule } from './rule.ts'
import { boundsBelow } from './paths.ts'
import type { Deletion } from './retention-records.ts'
import type { Services } from './services.ts'

/** The methods that delete folders. */
export function createFolderRemovals ({
  engine, owners, tree, contents, deletions, retention, retentionPolicy, guard, changeLog, write
}: Services) {
  const { tables, now, transactFor } = engine
  const { files, folders } = tables

  /** The folders below one: at most `limit`, in an order of their paths. */
  const listBelow = (
    { ownerId, path }: FolderRow,
    limit: number,
    { after = path, direction = asc }: { after?: string, direction?: typeof asc }
  ) => query(db => db.select({ id: folders.id, path: folders.path }).from(folders)
    .where(and(isBelow(folders, { ownerId, ...boundsBelow(path) }), gt(folders.path, after)))
    .orderBy(direction(folders.path)).limit(limit))

  const anyFileIn = (ownerId: number, ids: number[]) =>
    query(anyOf(files, and(eq(files.ownerId, ownerId), inArray(files.folderId, ids))), isAny)

  /** The folder, its owner, who is then locked, and the time. @throws not_found. */
  function * contextOf (ownerId: number, path: string): Rule<OwnerContext & { folder: FolderRow }> {
    const [owner, folder, time] = yield * pipeline(owners.lock(ownerId), tree.find(ownerId, path), now())
    if (folder === undefined) throw new Problem('not_found')
    return { owner, folder, time }
  }

  /** Deletes empty folders, and with a `deletion` keeps them in the trash. */
  function * drop ({ owner, time }: OwnerContext, ids: number[], deletion?: Deletion): Rule<void> {
    const isKept = deletion !== undefined && retentionPolicy.milliseconds > 0
    const keptContents = isKept ? ids.length : 0
    yield * pipeline(
      isKept ? retention.keepFolders(ids, time, deletion.id) : undefined,
      isKept ? deletions.add(owner.id, deletion, { files: 0, folders: ids.length, size: 0 }, time) : undefined,
      changeLog.foldersDeleted(ids, time),
      query(db => db.delete(folders).where(inArray(folders.id, ids))),
      owners.charge(owner.id, { usedFolders: -ids.length, keptContents })
    )
    yield * retention.trim(owner, { newest: '', added: keptContents, time })
  }

  function deletionOf (path: string, { deletedWith: id, deletedFrom }: FolderRemoval): Deletion {
    return deletedFrom === undefined ? { id, kind: 'folder', name: path } : { id, kind: 'many', name: deletedFrom }
  }

  function * admitRemoval (
    context: OwnerContext, folder: FolderRow, { from, conditions = {}, unchangedSince, replacedBy }: FolderRemoval
  ): Rule<void> {
    const { path } = folder
    const { tokens } = conditions
    const { owner } = context
    const subject = replacedBy === undefined ? { folder } : yield * requireSource(owner.id, replacedBy.path)
    const change = { ...context, ...subject }
    if (from === undefined) {
      const moved = replacedBy !== undefined && replacedBy.copy === undefined ? [replacedBy.path] : []
      yield * guard.admit(change, conditions, ...[path, ...moved].map(targetsOfRemoval))
      if (unchangedSince !== undefined && (yield * changeLog.isChanged(owner.id, path, unchangedSince))) {
        throw new Problem('precondition_failed')
      }
      if (replacedBy !== undefined) yield * requireFitting(owner, path, { ...replacedBy, ...subject })
    } else yield * guard.admit(change, { tokens }, targetsOfRemoval(path))
    yield * guard.end(context, path)
  }

  /** The file or folder with a path. @throws not_found: it may just have got the path of this one. */
  function * requireSource (ownerId: number, path: string): Rule<Subject> {
    const [current, folder] = yield * pipeline(contents.find(ownerId, path), tree.find(ownerId, path))
    if (current === undefined && folder === undefined) throw new Problem('not_found')
    return { current, folder }
  }

  /** @throws name_invalid, quota_exceeded. */
  function * requireFitting (
    owner: Owner, newPath: string, { path, copy, current }: Replacement & Subject
  ): Rule<void> {
    if (copy?.isDeep !== false) yield * tree.requireShort(owner.id, path, newPath)
    if (copy === undefined) return
    const added = current === undefined
      ? yield * tree.sizeOf(owner, path, copy)
      : { bytes: current.size, files: 1 }
    refuseBeyondQuota(copy.quota, usedBy(owner, yield * owners.reserved(owner.id)), added)
  }

  function * removeFiles (
    { owner, time }: OwnerContext,
    folder: FolderRow,
    { from, ...removal }: FolderRemoval & { from: FolderRemovalPosition & { path: string } }
  ): Rule<FolderRemovalPosition> {
    const { limit, isPermanent } = removal
    const below = yield * listBelow(folder, limit, { after: from.path })
    const ids = [folder, ...below].map(({ id }) => id)
    const removed = yield * query(db => db.select(fileColumns(tables)).from(files).where(and(
      eq(files.ownerId, folder.ownerId), inArray(files.folderId, ids), lte(files.id, from.lastId)
    )).limit(limit))
    const deletion = deletionOf(folder.path, removal)
    if (removed.length > 0) yield * contents.removeAll({ owner, time }, removed, { isPermanent, deletion })
    return removed.length === limit ? from : { ...from, path: below.at(-1)?.path }
  }

  function * removeEmpty (
    context: OwnerContext,
    folder: FolderRow,
    { position, ...removal }: FolderRemoval & { position: FolderRemovalPosition }
  ): Rule<FolderRemovalPosition | undefined> {
    const { limit, isPermanent } = removal
    const below = yield * listBelow(folder, limit, { direction: desc })
    const isLast = below.length < limit
    const ids = (isLast ? [...below, folder] : below).map(({ id }) => id)
    if (yield * anyFileIn(folder.ownerId, ids)) throw new Problem('folder_not_empty')
    yield * drop(context, ids, isPermanent ? undefined : deletionOf(folder.path, removal))
    return isLast ? undefined : position
  }

  return {
    /** Deletes an empty folder. @throws not_found, precondition_failed, folder_not_empty, file_locked. */
    remove: write(function * (ownerId, path: string, conditions: Conditions = {}) {
      const { owner, folder, time } = yield * contextOf(ownerId, path)
      const { id } = folder
      yield * guard.admit({ owner, time, folder }, conditions, targetsOfRemoval(path))
      yield * guard.end({ owner, time }, path)
      const found = yield * pipeline(
        anyFileIn(ownerId, [id]),
        query(anyOf(folders, and(eq(folders.ownerId, ownerId), eq(folders.parentId, id))), isAny)
      )
      if (found.includes(true)) throw new Problem('folder_not_empty')
      yield * drop({ owner, time }, [id])
    }),

    /**
     * One act of a recursive deletion. Deletes some files in the folder and below, as `files.remove` does, but none
     * that was added after the first act. Once there are none, it deletes folders, each after those below it. Returns
     * where the next act begins; undefined if the folder is deleted.
     * The first act ends the locks in the folder.
     * @throws not_found, also if the folder was moved since the first act; folder_not_empty if a file was added;
     * precondition_failed; file_locked if something in the folder is locked, also since the first act; quota_exceeded;
     * name_invalid.
     */
    removeSome: (ownerId: number, path: string, removal: FolderRemoval) => transactFor(ownerId, function * () {
      const { owner, folder, time } = yield * contextOf(ownerId, path)
      const { from } = removal
      if (folder.id !== (from?.folderId ?? folder.id)) throw new Problem('not_found')
      yield * admitRemoval({ owner, time }, folder, removal)
      // A file that is added later has a higher id: its owner is locked while it is added.
      const newestFile = query(db => db.select({ id: files.id }).from(files).orderBy(desc(files.id)).limit(1),
        ([newest]) => newest?.id ?? 0)
      const position = from ?? { folderId: folder.id, lastId: yield * newestFile, path }
      return position.path === undefined
        ? yield * removeEmpty({ owner, time }, folder, { ...removal, position })
        : yield * removeFiles({ owner, time }, folder, { ...removal, from: { ...position, path: position.path } })
    }, removal.from === undefined && removal.replacedBy !== undefined ? () => owners.ownsMany(ownerId) : undefined)
  }
}
