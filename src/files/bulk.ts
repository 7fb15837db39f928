import { createBlobId } from '../blobs/blob-writer.ts'
import { ancestorsOf, joinPath, splitPath } from '../metadata/paths.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { ifNot, Problem, type RefusalReason, refusalAmong } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { DELETION_BATCH } from './folders.ts'
import { fileName, findName } from './names.ts'
import { LOOKUP_BATCH, pagesBelow, partsOf } from './pages.ts'
import { createStateCheck, type MadeEntry, stateOfFolder } from './states.ts'
import { commonFolder } from './zips.ts'

/** Files and folders that are moved at once: on SQLite, they share a commit. */
const MOVE_BATCH = 10

/** Why one of many is refused. Any other problem ends the act. */
export const bulkRefusals = [
  'name_invalid', 'folder_into_itself', 'not_found', 'name_taken', 'parent_missing', 'folder_not_empty',
  'precondition_failed', 'quota_exceeded', 'extension_not_allowed', 'file_locked', 'file_damaged'
] as const

/** A file or folder as it was named; with `id`, only if it has that, and with `state`, only if it still has that. */
export interface BulkItem {
  readonly name: string
  readonly id?: string | undefined
  readonly state?: string | undefined
}

/** Its name is the path by which it is stored. */
interface Item extends BulkItem { readonly requestedName: string }

interface RefusedItem extends RefusalReason<typeof bulkRefusals[number]> { readonly name: string }

export interface BulkResult { readonly done: number, readonly refused: RefusedItem[] }

/** A file or folder by the name in the request, and the name that it or its copy has got; a copy with its state. */
interface PlacedItem extends Omit<MadeEntry, 'state'> { readonly newName: string, readonly state?: string }

export type PlacedResult = BulkResult & { readonly placed: PlacedItem[] }

/** Where files and folders go under their last segments. `renames`: one that is taken gets a number. */
export interface BulkTarget { readonly folder: string, readonly renames: boolean }

export type Bulk = ReturnType<typeof createBulk>

/**
 * Acts on many files and folders. What is named twice, or is in a folder that is named, counts once. Each act is many
 * transactions: it ends between two of them if the server stops, and can be repeated.
 */
export function createBulk ({ metadata, files, folders, copies, stopping }:
Pick<AppServices, 'metadata' | 'files' | 'folders' | 'copies' | 'stopping'>) {
  async function run (
    { wanted, refused }: { wanted: readonly Item[], refused: readonly RefusedItem[] },
    size: number,
    act: (some: Item[]) => Promise<RefusedItem[]>
  ): Promise<BulkResult> {
    const all = [...refused]
    for await (const some of partsOf(wanted, size)) {
      stopping.throwIfAborted()
      all.push(...await act(some))
    }
    return { done: wanted.length + refused.length - all.length, refused: all }
  }

  async function isFile (ownerId: number, name: string): Promise<boolean> {
    return await ifNot('not_found', files.get(ownerId, name)) !== undefined
  }

  /** Runs an act with the path that something gets in the folder, and returns that too. @throws name_taken. */
  async function place<T> (
    ownerId: number, name: string, { folder, renames }: BulkTarget, act: (path: string) => Promise<T>
  ): Promise<{ path: string, result: T }> {
    const wanted = joinPath(folder, splitPath(name).name)
    let path = wanted
    for (;;) {
      const done = await ifNot('name_taken', act(path).then(result => ({ path, result })))
      if (done !== undefined) return done
      const free = renames ? await metadata.files.findFree(ownerId, wanted) : path
      // Also if it was free all along: then the folder can't be made.
      if (free === path) throw new Problem('name_taken')
      path = free
    }
  }

  /** How many contents are deleted for good if these are moved to the trash: the oldest that are kept. */
  async function countLost ({ id: ownerId, usedFiles, usedFolders }: AccountRecord, moved: Item[]): Promise<number> {
    const free = await metadata.trash.countFree(ownerId)
    if (usedFiles + usedFolders <= free) return 0
    let count = 0
    const open: number[] = []
    for await (const some of partsOf(moved, LOOKUP_BATCH)) {
      const found = await Promise.all(some.map(({ name }) => metadata.folders.find(ownerId, name)))
      const ids = found.flatMap(folder => folder?.id ?? [])
      open.push(...ids)
      count += some.length - ids.length
    }
    for await (const page of pagesBelow(metadata, ownerId, open)) {
      count += 'files' in page ? page.files.length : page.folders.length
    }
    return Math.max(count + open.length - free, 0)
  }

  return {
    /**
     * Moves files and folders to the trash, as one deletion. `maxLost`: older contents that may be deleted for it.
     * @throws trash_full if it would be more, stopping.
     */
    async moveToTrash (
      owner: AccountRecord, items: readonly BulkItem[], maxLost: number
    ): Promise<BulkResult & { deletedWith: string }> {
      const { id: ownerId } = owner
      const found = await itemsOf(items)
      const lost = await countLost(owner, found.wanted)
      if (lost > maxLost) {
        const detail = `${lost} versions and deleted files, the oldest ones, would be deleted for good.`
        throw new Problem('trash_full', { detail, members: { lost } })
      }
      const deletedWith = createBlobId()
      const names = found.wanted.map(({ name }) => name).sort()
      const deletedFrom = names.length > 1 ? commonFolder(names) : undefined
      const removal = { isRecursive: true, isPermanent: false, deletedWith, deletedFrom }
      const kind = deletedFrom === undefined ? 'file' as const : 'many' as const
      const deletion = { id: deletedWith, kind, name: deletedFrom ?? String(names[0]) }
      const requireState = createStateCheck(metadata, ownerId, found.wanted)
      const result = await run(found, DELETION_BATCH, async some => {
        const refusals = await metadata.files.removeMany(ownerId, some, deletion)
        const refused: RefusedItem[] = []
        for (const item of some) {
          const refusal = refusals.get(item.name)
          if (refusal?.code === 'not_found') {
            refused.push(...await tryEach([item], async ({ name, id, state }) => {
              const unchangedSince = state === undefined ? undefined : await requireState(name)
              await folders.remove(ownerId, name, { ...removal, conditions: { id }, unchangedSince })
            }))
          } else if (refusal !== undefined) refused.push({ name: item.requestedName, ...refusal })
        }
        return refused
      })
      return { ...result, deletedWith }
    },

    /** Moves files and folders to a folder. @throws stopping. */
    async move (owner: AccountRecord, items: readonly BulkItem[], target: BulkTarget): Promise<PlacedResult> {
      const placed: PlacedItem[] = []
      const result = await run(await itemsOf(items), MOVE_BATCH, some =>
        tryEach(some, async ({ requestedName, name, id }) => {
          const isOfFile = await isFile(owner.id, name)
          const { path, result: row } = await place(owner.id, name, target, async path => isOfFile
            ? { fileId: (await files.rename(owner, name, path, { id })).id }
            : { folderId: (await folders.move(owner, name, path, { id })).id })
          placed.push({ name: requestedName, newName: path, ...row })
        }))
      return { ...result, placed }
    },

    /**
     * Copies files, and folders with all that is in them, to a folder. A folder is copied until its first failure.
     * `signal`: aborted when nobody waits for it any more. @throws stopping, storage_full, and the signal's reason.
     */
    async copy (
      owner: AccountRecord, items: readonly BulkItem[], target: BulkTarget, signal: AbortSignal
    ): Promise<PlacedResult> {
      const placed: PlacedItem[] = []
      const result = await run(await itemsOf(items), 1, some => tryEach(some, async ({ requestedName, name, id }) => {
        signal.throwIfAborted()
        if (await isFile(owner.id, name)) {
          const { path, result: { file } } = await place(owner.id, name, target, path =>
            copies.copyFile(owner, name, path, { id }))
          placed.push({ name: requestedName, newName: path, fileId: file.id, state: file.sha256 })
          return
        }
        if (`${target.folder}/`.startsWith(`${name}/`)) throw new Problem('folder_into_itself')
        const since = Number((await metadata.changes.newest([owner.id])).get(owner.id))
        const ids: number[] = []
        const onStep = (made: { readonly id: number }) => { ids.push(made.id) }
        const { path, result: failure } = await place(owner.id, name, target, path =>
          copies.copyFolder(owner, name, path, { id, isDeep: true, signal, onStep }))
        const state = stateOfFolder({ since, changes: ids.length })
        placed.push({ name: requestedName, newName: path, folderId: Number(ids[0]), state })
        if (failure !== undefined) throw failure.error
      }))
      return { ...result, placed }
    }
  }
}

/** The different files and folders among those that were named. A name that nothing can have is refused. */
async function itemsOf (items: readonly BulkItem[]): Promise<{ wanted: Item[], refused: RefusedItem[] }> {
  const refused: RefusedItem[] = []
  const named = new Map<string, Item>()
  for await (const some of partsOf(items, LOOKUP_BATCH)) {
    for (const { name: requestedName, ...conditions } of some) {
      const name = findName(requestedName, fileName)
      if (name === undefined) refused.push({ name: requestedName, code: 'not_found' })
      else named.set(name, { requestedName, name, ...conditions })
    }
  }
  const wanted: Item[] = []
  for await (const some of partsOf(Array.from(named.values()), LOOKUP_BATCH)) {
    wanted.push(...some.filter(({ name }) => !ancestorsOf(name).some(folder => named.has(folder))))
  }
  return { wanted, refused }
}

/** Waits for all, and returns those that were refused. */
async function tryEach (some: readonly Item[], act: (item: Item) => Promise<void>): Promise<RefusedItem[]> {
  const results = await Promise.allSettled(some.map(act))
  return some.flatMap(({ requestedName: name }, index) => {
    const result = results[index] as PromiseSettledResult<void>
    return result.status === 'fulfilled' ? [] : { name, ...refusalAmong(bulkRefusals, result.reason) }
  })
}
