import type { DeletedFile, StoredFile } from 'magicstore'
import { dismiss, notify } from '../notices.tsx'
import { MAX_PAGE_ENTRIES } from '../pages.ts'
import { joined, parentOf } from '../paths.ts'
import { describe } from '../problem.tsx'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { filesChanged } from './changes.ts'
import { loadTrash } from './deletions.ts'
import { entries, filesFocus, placeEntry, showEntry } from './entries.ts'

/** Renames a file. @throws what `call` throws; the server refuses a name that is taken or not possible. */
export async function renameFile ({ name }: StoredFile, newName: string): Promise<StoredFile> {
  const renamed = await call(store => store.rename(name, joined(parentOf(name), newName)))
  placeEntry(renamed, name)
  filesFocus.focus({ key: renamed.name, column: 0 })
  notify({ text: texts.files.renamed(renamed.name) })
  return renamed
}

/**
 * Copies a file in its folder, and offers to undo that.
 * @throws what `call` throws; the server refuses a name that is taken or not possible.
 */
export async function copyFile ({ name }: StoredFile, newName: string): Promise<void> {
  const copied = await call(store => store.copy(name, joined(parentOf(name), newName)))
  placeEntry(copied)
  filesFocus.focus({ key: copied.name, column: 0 })
  notify({
    text: texts.files.copied(copied.name),
    action: { label: texts.files.undo, run: () => { removeFile(copied).catch(notifyProblem) } }
  })
}

/** Names of files that are being deleted: a key that is pressed twice must not delete a file twice. */
const leaving = new Set<string>()

/**
 * Moves a file to the trash and offers to undo that. A server without a trash deletes the file for good.
 * @throws what `call` throws.
 */
export async function removeFile (file: StoredFile): Promise<void> {
  if (leaving.has(file.name)) return
  leaving.add(file.name)
  dismiss()
  try {
    await call(store => store.remove(file.name))
    await showRemoval(file)
  } finally {
    leaving.delete(file.name)
  }
}

async function showRemoval (file: StoredFile): Promise<void> {
  entries.change(all => all.filter(({ name }) => name !== file.name))
  filesChanged()
  const deleted = await findDeleted(({ name }) => name === file.name).catch((error: unknown) => ({ error }))
  if (deleted !== undefined && 'error' in deleted) notify({ text: texts.files.removed(file.name) })
  else if (deleted === undefined) notify({ text: texts.files.deletedForGood(file.name) })
  else {
    notify({
      text: texts.files.deleted(file.name),
      action: { label: texts.files.undo, run: () => { void undoRemoval(deleted) } }
    })
  }
}

/**
 * The newest entry of the trash that is meant. The content of a deleted file may be newer than what the list shows.
 * @throws what `call` throws.
 */
export async function findDeleted (isMeant: (file: DeletedFile) => boolean): Promise<DeletedFile | undefined> {
  const { entries: newest } = await loadTrash({ limit: MAX_PAGE_ENTRIES })
  return newest.find(isMeant)
}

async function undoRemoval ({ id }: DeletedFile): Promise<void> {
  try {
    const restored = await call(store => store.restore(id))
    showEntry(restored)
    notify({ text: texts.files.restored(restored.name) })
  } catch (error) {
    notifyProblem(error)
  }
}

/** Shows why the action of a notice failed, in another notice. */
export function notifyProblem (error: unknown): void {
  const { title, detail } = describe(error) ?? {}
  if (title !== undefined) notify({ text: [title, detail].filter(text => text !== undefined).join(' ') })
}
