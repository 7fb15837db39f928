import { PageError } from '../errors.ts'
import { formatNumber } from '../format.ts'
import { notify } from '../notices.tsx'
import { joined, lastOf } from '../paths.ts'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { chosenEntries } from './chosen.ts'
import { deletionsInTrash, findDeleted } from './deletions.ts'
import { dropEntry, isFolder, placeEntry, type Entry } from './entries.ts'
import { canMove, changePath, removeIfEmpty } from './folders.ts'
import { countOf, runAll } from './many.ts'

const words = texts.selection

/** Undoes an act on one entry. */
interface Undo { readonly name: string, readonly run: () => Promise<void> }

/** Deletes files, and folders with all that is in them, and offers to undo that. */
export async function removeAll (removed: readonly Entry[]): Promise<void> {
  const earlier = removed.some(isFolder) ? await deletionsInTrash() : new Set<string>()
  const gone = await runAll('remove', removed, async entry => {
    const wasEmpty = await remove(entry)
    chosenEntries.clear([entry])
    dropEntry(entry)
    return { entry, wasEmpty }
  })
  if (gone.length === 0) return
  const count = countOf(gone)
  const undos = await undosOf(gone, earlier).catch(() => undefined)
  if (undos === undefined) notify({ text: words.removed(count) })
  else if (undos.length === 0) notify({ text: words.deletedForGood(count) })
  else notify({ text: words.deleted(count), action: undoAction('restore', undos, words.restored) })
}

/** Resolves to whether it was an empty folder, of which the trash has nothing. */
async function remove (entry: Entry): Promise<boolean> {
  const { name } = entry
  if (isFolder(entry) && await removeIfEmpty(entry)) return true
  await call(store => isFolder(entry) ? store.removeFolder(name, { recursive: true }) : store.remove(name))
  return false
}

interface Gone { readonly entry: Entry, readonly wasEmpty: boolean }

/** What restores the deleted entries, as far as that is possible. @throws what `call` throws. */
async function undosOf (gone: readonly Gone[], earlier: ReadonlySet<string>): Promise<Undo[]> {
  const inTrash = gone.filter(({ wasEmpty }) => !wasEmpty).map(({ entry }) => entry)
  const { fileIds, deletions } = await findDeleted(inTrash, earlier)
  return gone.flatMap(({ entry, wasEmpty }) => {
    const { name } = entry
    const [id, deletion] = [fileIds.get(name), deletions.get(name)]
    if (wasEmpty) return [{ name, run: async () => placeEntry(await call(store => store.createFolder(name))) }]
    if (id !== undefined) return [{ name, run: async () => placeEntry(await call(store => store.restore(id))) }]
    return deletion === undefined ? [] : [{ name, run: () => restoreFolder(entry, deletion) }]
  })
}

/** @throws PageError if some of its files stay in the trash. */
async function restoreFolder (folder: Entry, deletion: string): Promise<void> {
  const { kept } = await call(store => store.restoreDeletion(deletion))
  placeEntry(folder)
  if (kept.length > 0) throw new PageError(texts.folders.kept(formatNumber(kept.length)))
}

/** Moves entries to another folder, except those that are there, and offers to undo that. */
export async function moveAll (moved: readonly Entry[], folder: string): Promise<void> {
  const undos = await runAll('move', moved.filter(entry => canMove(entry, folder)), async entry => {
    const { name } = await changePath(entry, joined(folder, lastOf(entry.name)))
    chosenEntries.clear([entry])
    return { name, run: async () => { await changePath({ ...entry, name }, entry.name) } }
  })
  if (undos.length === 0) return
  const count = countOf(undos)
  notify({ text: words.moved(count, folder), action: undoAction('move', undos, words.movedBack) })
}

/** Offers to undo an act. */
function undoAction (act: 'restore' | 'move', undos: readonly Undo[], done: (count: string) => string) {
  const run = async () => {
    const undone = await runAll(act, undos, ({ run }) => run())
    if (undone.length > 0) notify({ text: done(countOf(undone)) })
  }
  return { label: texts.files.undo, run: () => { void run() } }
}
