import type { Folder } from 'magicstore'
import { codeOf } from '../errors.ts'
import { dismiss, notify } from '../notices.tsx'
import { isWithin, joined, lastOf, parentOf } from '../paths.ts'
import { request } from '../requests.ts'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { openFolder } from '../view.ts'
import { filesChanged } from './changes.ts'
import { dropEntry, filesFocus, isFolder, placeEntry, showEntry, type Entry } from './entries.ts'
import { notifyWithUndo, requireSegment } from './files.ts'

/** Creates a folder in the open one. @throws what `call` throws; `name_taken` if a file has its name; PageError. */
export async function createFolder (name: string): Promise<void> {
  const created = await makeFolder(openFolder.peek(), name)
  showEntry(created)
  notify({ text: texts.folders.created(created.name) })
}

/** Creates a folder in another one, wherever that is. @throws as `createFolder`. */
export async function makeFolder (parent: string, name: string): Promise<Folder> {
  requireSegment(name)
  const created = await call(store => store.createFolder(joined(parent, name)))
  filesChanged()
  return created
}

/**
 * Gives an entry another name in its folder, and offers to undo that.
 * @throws what `call` throws, since the name can be taken or invalid; PageError for a path.
 */
export async function rename<Renamed extends Entry> (entry: Renamed, newName: string): Promise<Renamed> {
  requireSegment(newName)
  dismiss()
  const renamed = await changePath(entry, joined(parentOf(entry.name), newName))
  filesFocus.focus({ key: renamed.name, column: 0 })
  notifyWithUndo(texts.files.renamed(renamed.name), async () => {
    showEntry(await changePath(renamed, entry.name))
    notify({ text: texts.files.renamed(entry.name) })
  })
  return renamed
}

/** Whether an entry can be moved to a folder: not to where it is, and not into itself. */
export function canMove ({ name }: Entry, folder: string): boolean {
  return folder !== parentOf(name) && !isWithin(folder, name)
}

/** Whether an entry can be copied to a folder: not into itself. */
export function canCopy ({ name }: Entry, folder: string): boolean {
  return !isWithin(folder, name)
}

/** Moves an entry to another folder and offers to undo that. @throws what `call` throws; `name_taken`. */
export async function moveEntry (entry: Entry, folder: string): Promise<void> {
  dismiss()
  const moved = await changePath(entry, joined(folder, lastOf(entry.name)))
  const undo = async () => {
    showEntry(await changePath(moved, entry.name))
    notify({ text: texts.folders.movedBack(entry.name) })
  }
  notifyWithUndo(texts.folders.moved(lastOf(entry.name), folder), undo)
}

/** Deletes a folder if it is empty. Resolves to whether it was. @throws what `call` throws. */
export async function removeIfEmpty ({ name }: Folder): Promise<boolean> {
  try {
    await call(store => store.removeFolder(name))
    return true
  } catch (error) {
    if (codeOf(error) !== 'folder_not_empty') throw error
    return false
  }
}

/** Does the same in the list, and offers to undo it. @throws what `call` throws. */
export async function removeEmpty (folder: Folder): Promise<boolean> {
  dismiss()
  if (!await removeIfEmpty(folder)) return false
  dropEntry(folder)
  const undo = async () => showEntry(await call(store => store.createFolder(folder.name)))
  notifyWithUndo(texts.files.removed(folder.name), undo)
  return true
}

/** Gives a file or folder another path, but nothing else that has its name by now. @throws what `call` throws. */
export async function changePath<Changed extends Entry> (entry: Changed, path: string): Promise<Changed> {
  const { name, id } = entry
  const init = { params: { path: { name }, query: { id } }, body: { name: path } }
  const changed = isFolder(entry)
    ? await request<Entry>(api => api.PATCH('/api/folders/{name}', init))
    : await request<Entry>(api => api.PATCH('/api/files/{name}', init))
  placeEntry(changed, name)
  return changed as Changed
}
