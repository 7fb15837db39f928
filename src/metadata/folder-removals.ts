import { and, asc, desc, eq, gt, gte, lt, lte, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { ChangeLog } from './changes.ts'
import type { Conditions } from './conditions.ts'
import type { Engine } from './engine.ts'
import { fileColumns } from './file-columns.ts'
import type { FileContents } from './file-contents.ts'
import type { FolderRemoval, FolderRemovalPosition, Replacement } from './folder-repository.ts'
import type { FolderRow, FolderTree } from './folder-tree.ts'
import { all, type LockGuard, type Moment, removes, type Subject } from './lock-guard.ts'
import { type Owner, type Owners, refuseBeyond } from './owners.ts'
import { limitedTo } from './paging.ts'
import { boundsBelow } from './paths.ts'
import { type Ask, ask, reading, together, writing, type Rule } from './rule.ts'

const { placeholder } = sql

interface RemovalOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly guard: LockGuard
  readonly changeLog: ChangeLog
}

/** Deletes folders in the current transaction. */
export class FolderRemovals {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #owners: Owners
  readonly #tree: FolderTree
  readonly #contents: FileContents
  readonly #guard: LockGuard
  readonly #changeLog: ChangeLog

  constructor ({ engine, owners, tree, contents, guard, changeLog }: RemovalOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#owners = owners
    this.#tree = tree
    this.#contents = contents
    this.#guard = guard
    this.#changeLog = changeLog
  }

  /** Deletes an empty folder. @throws not_found, precondition_failed, folder_not_empty, file_locked. */
  * remove (ownerId: number, path: string, conditions: Conditions): Rule<void> {
    const [owner, folder, time] = yield * this.#begin(ownerId, path)
    if (folder === undefined) throw new Problem('not_found')
    const { id } = folder
    yield * this.#guard.admit({ owner, time, folder }, conditions, removes(path))
    yield * this.#guard.end({ owner, time }, path)
    const [files, folders] = yield * together(
      ask(this.#queries.anyFile, { ownerId, ids: [id] }), ask(this.#queries.anyFolder, { ownerId, id })
    )
    if (files.length + folders.length > 0) throw new Problem('folder_not_empty')
    yield * this.#drop({ owner, time }, [id])
  }

  #begin (ownerId: number, path: string): Rule<[Owner, FolderRow | undefined, number]> {
    return together(this.#owners.lock(ownerId), this.#tree.find(ownerId, path), this.#engine.now())
  }

  * #drop ({ owner, time }: Moment, ids: readonly number[]): Rule<void> {
    yield * together(
      this.#changeLog.foldersDeleted(ids, time),
      ask(this.#queries.drop, { ids }),
      this.#owners.charge(owner.id, { folders: -ids.length })
    )
  }

  /** One act of a recursive deletion, as the repository's method. */
  * removeSome (
    ownerId: number, path: string, { from, ...removal }: FolderRemoval
  ): Rule<FolderRemovalPosition | undefined> {
    const [owner, folder, time] = yield * this.#begin(ownerId, path)
    if (folder === undefined || folder.id !== (from?.folderId ?? folder.id)) throw new Problem('not_found')
    yield * this.#admitRemoval({ owner, time }, folder, { from, ...removal })
    const position = from ?? { folderId: folder.id, lastId: yield * this.#newestFile(), path }
    return position.path === undefined
      ? yield * this.#removeEmpty({ owner, time }, folder, { position, limit: removal.limit })
      : yield * this.#removeFiles({ owner, time }, folder, { ...removal, from: { ...position, path: position.path } })
  }

  * #admitRemoval (
    moment: { owner: Owner, time: number }, folder: FolderRow, { from, conditions = {}, replacedBy }: FolderRemoval
  ): Rule<void> {
    const { path } = folder
    const { tokens } = conditions
    const { owner } = moment
    const subject = replacedBy === undefined ? { folder } : yield * this.#requireSource(owner.id, replacedBy.path)
    const moved = replacedBy !== undefined && replacedBy.copy === undefined ? [replacedBy.path] : []
    const [terms, gone] = from === undefined ? [conditions, [path, ...moved]] : [{ tokens }, [path]]
    yield * this.#guard.admit({ ...moment, ...subject }, terms, all(...gone.map(removes)))
    if (from === undefined && replacedBy !== undefined) {
      yield * this.#requireFitting(owner, path, { ...replacedBy, ...subject })
    }
    yield * this.#guard.end(moment, path)
  }

  /** The file or folder with a path. @throws not_found: it may just have got the path of this one. */
  * #requireSource (ownerId: number, path: string): Rule<Subject> {
    const [current, folder] = yield * together(this.#contents.find(ownerId, path), this.#tree.find(ownerId, path))
    if (current === undefined && folder === undefined) throw new Problem('not_found')
    return { current, folder }
  }

  /** @throws name_invalid, quota_exceeded. */
  * #requireFitting (
    owner: Owner, newPath: string, { path, copy, current }: Replacement & Subject
  ): Rule<void> {
    if (copy?.isDeep !== false) yield * this.#tree.requireShort(owner.id, path, newPath)
    if (copy === undefined) return
    const added = current === undefined
      ? yield * this.#tree.sizeOf(owner, path, copy)
      : { bytes: current.size, files: 1 }
    refuseBeyond(copy.quota, { owner, reserved: yield * this.#owners.reserved(owner.id), added })
  }

  // A file that is added later has a higher id: its owner is locked while it is added.
  #newestFile (): Ask<number> {
    return ask(this.#queries.newestFile, {}, ([newest]) => newest?.id ?? 0)
  }

  * #removeFiles (
    { owner, time }: { owner: Owner, time: number },
    { id, ownerId, path }: FolderRow,
    { from, limit, isPermanent, deletedWith }: FolderRemoval & { from: FolderRemovalPosition & { path: string } }
  ): Rule<FolderRemovalPosition> {
    const below = yield * ask(this.#queries.foldersBelow, { ownerId, ...boundsBelow(path), after: from.path, limit })
    const ids = [id, ...below.map(folder => folder.id)]
    const removed = yield * ask(this.#queries.filesIn, { ownerId, ids, lastId: from.lastId, limit })
    if (removed.length > 0) yield * this.#contents.removeAll({ owner, time }, removed, { isPermanent, deletedWith })
    return removed.length === limit ? from : { ...from, path: below.at(-1)?.path }
  }

  * #removeEmpty (
    moment: Moment, folder: FolderRow, { position, limit }: { position: FolderRemovalPosition, limit: number }
  ): Rule<FolderRemovalPosition | undefined> {
    const { ownerId, path } = folder
    const below = yield * ask(this.#queries.deepest, { ownerId, ...boundsBelow(path), limit })
    const isLast = below.length < limit
    const ids = (isLast ? [...below, folder] : below).map(({ id }) => id)
    if ((yield * ask(this.#queries.anyFile, { ownerId, ids })).length > 0) throw new Problem('folder_not_empty')
    yield * this.#drop(moment, ids)
    return isLast ? undefined : position
  }
}

function queriesOf ({ tables, isAmong }: Engine) {
  const { files, folders } = tables
  const isOwn = eq(folders.ownerId, placeholder('ownerId'))
  const isBelow = and(isOwn, gte(folders.path, placeholder('from')), lt(folders.path, placeholder('to')))
  return {
    anyFile: reading('file_in_folders', db => db.select({ id: files.id }).from(files)
      .where(and(eq(files.ownerId, placeholder('ownerId')), isAmong(files.folderId, 'ids'))).limit(1)),
    anyFolder: reading('folder_in_folder', db => db.select({ id: folders.id }).from(folders)
      .where(and(isOwn, eq(folders.parentId, placeholder('id')))).limit(1)),
    drop: writing('remove_folders', db => db.delete(folders).where(isAmong(folders.id, 'ids'))),
    newestFile: reading('newest_file', db => db.select({ id: files.id }).from(files).orderBy(desc(files.id)).limit(1)),
    foldersBelow: reading('folders_below', db => db.select({ id: folders.id, path: folders.path }).from(folders)
      .where(and(isBelow, gt(folders.path, placeholder('after'))))
      .orderBy(limitedTo(asc(folders.path), placeholder('limit')))),
    // In any order: the owner's id is the same in all.
    filesIn: reading('files_in_folders', db => db.select(fileColumns(tables)).from(files)
      .where(and(
        eq(files.ownerId, placeholder('ownerId')), isAmong(files.folderId, 'ids'), lte(files.id, placeholder('lastId'))
      )).orderBy(limitedTo(asc(files.ownerId), placeholder('limit')))),
    deepest: reading('deepest_folders', db => db.select({ id: folders.id }).from(folders).where(isBelow)
      .orderBy(limitedTo(desc(folders.path), placeholder('limit'))))
  }
}
