import { signal } from '@preact/signals'
import { codeOf } from '../errors.ts'
import { notify } from '../notices.tsx'
import { parentOf } from '../paths.ts'
import { titleOf } from '../problem-words.ts'
import { request } from '../requests.ts'
import { call } from '../session.ts'
import { hasTrash } from '../settings.ts'
import { texts } from '../texts.ts'
import { filesChanged } from './changes.ts'
import { chosenEntries } from './chosen.ts'
import { entries, isFolder, showEntry, type Entry } from './entries.ts'
import { notifyWithUndo } from './files.ts'
import { canCopy, canMove } from './folders.ts'
import { countOf, runOnServer, type Change } from './many.ts'
import { sendAll, type Item } from './server-acts.ts'

const words = texts.selection

/** A deletion that would lose older contents of the trash, until the user decides. */
export const losing = signal<{ readonly entries: readonly Entry[], readonly lost: number } | undefined>(undefined)

const nameOf = ({ file, folder }: Change): string | undefined => (file ?? folder)?.name

/**
 * Deletes files, and folders with all that is in them, and offers to undo that. At most `lost` older contents may leave
 * the trash for it: if it would be more, the user is asked first.
 */
export async function removeAll (removed: readonly Entry[], lost = 0): Promise<void> {
  const ids = new Set(removed.map(({ id }) => id))
  const sending = await sendAll({
    act: 'remove',
    items: removed,
    isStep: change => nameOf(change) === undefined && ids.delete(change.id),
    send: items => request(api => api.POST('/api/trash', { body: { items, lost } }))
  })
  const gone = removed.filter(({ name }) => sending.done.has(name))
  takeOff(gone)
  const left = new Set(sending.losing.items.map(({ name }) => name))
  if (left.size > 0) {
    losing.value = { entries: removed.filter(({ name }) => left.has(name)), lost: lost + sending.losing.lost }
  }
  if (gone.length === 0) return
  const text = removalText(gone)
  if (!hasTrash) return notify({ text })
  notifyWithUndo(text, () => undoRemoval(gone, sending.results.map(({ deletedWith }) => deletedWith)))
}

function removalText (gone: readonly Entry[]): string {
  const [first] = gone
  if (gone.length === 1 && first !== undefined && isFolder(first)) {
    return hasTrash ? texts.folders.deleted(first.name) : texts.files.removed(first.name)
  }
  return hasTrash ? words.deleted(countOf(gone)) : words.deletedForGood(countOf(gone))
}

/** @throws what `call` throws. */
async function undoRemoval (gone: readonly Entry[], deletions: readonly string[]): Promise<void> {
  const names = new Set<string | undefined>(gone.map(({ name }) => name))
  const restored = await runOnServer({
    act: 'restore',
    all: gone.length,
    isStep: change => names.delete(nameOf(change)),
    run: () => Promise.all(deletions.map(id => call(store => store.restoreDeletion(id))))
  })
  filesChanged()
  const files = restored.reduce((sum, { restored }) => sum + restored, 0)
  const kept = restored.reduce((sum, { kept }) => sum + kept.length, 0)
  notify({
    text: kept === 0
      ? words.restored(countOf(gone))
      : `${texts.folders.restored(files)} ${texts.folders.kept(kept)}`
  })
  const [first] = gone
  if (gone.length === 1 && first !== undefined) await find(first.name).then(showEntry, () => {})
}

/** Moves entries to another folder, except those that are there, and offers to undo that. */
export async function moveAll (moved: readonly Entry[], folder: string): Promise<void> {
  const movable = moved.filter(entry => canMove(entry, folder))
  const ids = new Map(movable.map(({ name, id }) => [name, id]))
  const { done, results } = await move(movable, folder)
  takeOff(movable.filter(({ name }) => done.has(name)))
  if (done.size === 0) return
  const placed = results.flatMap(({ placed }) => placed)
  notifyWithUndo(words.moved(countOf(placed), folder), async () => {
    // They may come from several folders, if they were found by a search.
    let back = 0
    for (const origin of new Set(placed.map(({ name }) => parentOf(name)))) {
      const items = placed.filter(({ name }) => parentOf(name) === origin)
      const { done } = await move(items.map(({ name, newName }) => withId(newName, ids.get(name))), origin)
      back += done.size
    }
    if (back > 0) notify({ text: words.movedBack(words.items(back)) })
  })
}

function move (items: readonly Item[], folder: string) {
  const ids = new Set(items.map(({ id }) => id))
  return sendAll({
    act: 'move',
    items,
    isStep: ({ id }) => ids.delete(id),
    send: items => request(api => api.POST('/api/moves', { body: { items, folder, rename: false } }))
  })
}

/** Copies entries to a folder, also to that where they are, and offers to undo that. */
export async function copyAll (copied: readonly Entry[], folder: string): Promise<void> {
  const folders = new Set(copied.filter(isFolder).map(({ name }) => name))
  const known = new Set<string>()
  const isNew = ({ id, ...change }: Change) => !known.has(id) && parentOf(nameOf({ id, ...change }) ?? '/') === folder
  const { done, results } = await sendAll({
    act: 'copy',
    items: copied.filter(entry => canCopy(entry, folder)),
    isStep: change => isNew(change) && known.add(change.id).size > 0,
    takesLong: ({ name }) => folders.has(name),
    send: (items, signal) => request(api =>
      api.POST('/api/copies', { body: { items, folder, rename: true }, ...signal && { signal } }))
  })
  if (done.size === 0) return
  chosenEntries.clear(copied)
  const placed = results.flatMap(({ placed }) => placed)
  const [first] = placed
  const copy = placed.length > 1 || first === undefined ? undefined : await find(first.newName).catch(() => undefined)
  const items = placed.map(({ newName: name, id, state }) => ({ name, id, ...state !== undefined && { state } }))
  if (copy !== undefined) showEntry(copy)
  const text = copy === undefined ? words.copied(countOf(placed), folder) : texts.files.copied(copy.name)
  notifyWithUndo(text, () => removeItems(items))
}

/** Undoes what added files or folders: moves them to the trash, unless they have changed. */
export async function removeItems (added: readonly Item[]): Promise<void> {
  const { done, losing: { items: left } } = await sendAll({
    act: 'remove',
    items: added,
    isStep: () => false,
    send: items => request(api => api.POST('/api/trash', { body: { items, lost: 0 } }))
  })
  if (left.length > 0) notify({ text: texts.files.notUndone(titleOf('trash_full')) })
  else if (done.size > 0) notify({ text: (hasTrash ? words.deleted : words.deletedForGood)(words.items(done.size)) })
}

function withId (name: string, id: string | undefined): Item {
  return id === undefined ? { name } : { name, id }
}

/** A file or folder as it is now. @throws what `call` throws. */
async function find (name: string): Promise<Entry> {
  const params = { path: { name } }
  return request<Entry>(api => api.GET('/api/files/{name}', { params })).catch((error: unknown) => {
    if (codeOf(error) !== 'not_found') throw error
    return request<Entry>(api => api.GET('/api/folders/{name}', { params }))
  })
}

/** Takes entries off the list and the selection. */
function takeOff (gone: readonly Entry[]): void {
  if (gone.length === 0) return
  const names = new Set(gone.map(({ name }) => name))
  chosenEntries.clear(gone)
  entries.change(all => all.filter(({ name }) => !names.has(name)))
}
