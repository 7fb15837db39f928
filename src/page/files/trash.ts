import { bodyOf, type DeletedFile } from 'magicstore'
import { notify } from '../notices.tsx'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { filesChanged } from './changes.ts'
import { notifyProblem } from './files.ts'
import { restoreDeletion } from './folders.ts'
import { createGridFocus } from './grid-focus.ts'
import { Listing } from './listing.ts'

export const trash = new Listing<DeletedFile>(async (query, signal) => {
  const { files: entries, next } = await call(async store => bodyOf(await store.api.GET('/api/trash', { params: { query }, signal })))
  return { entries, next }
}, ({ id }) => id)

export const trashFocus = createGridFocus()

/**
 * Restores a file, and offers to restore those that were deleted in the same folder.
 * @throws what `call` throws; `name_taken` if there is a file of that name.
 */
export async function restoreFile ({ id, deletedWith }: DeletedFile, name?: string): Promise<void> {
  const restored = await call(store => store.restore(id, name === undefined ? {} : { name }))
  drop(id)
  const others = deletedWith !== null && trash.entries.value.some(file => file.deletedWith === deletedWith) && {
    label: texts.files.restoreDeletion,
    run: () => { restoreDeletion(deletedWith).catch(notifyProblem) }
  }
  notify({ text: texts.files.restored(restored.name), ...(others && { action: others }) })
}

export async function deleteForGood ({ id, name }: DeletedFile): Promise<void> {
  await call(async store => bodyOf(await store.api.DELETE('/api/trash/{id}', { params: { path: { id } } })))
  drop(id)
  notify({ text: texts.files.deletedForGood(name) })
}

export async function emptyTrash (): Promise<void> {
  await call(async store => bodyOf(await store.api.DELETE('/api/trash')))
  trash.change(() => [])
  filesChanged()
  notify({ text: texts.files.trashEmptied })
}

function drop (id: string): void {
  trash.change(entries => entries.filter(entry => entry.id !== id))
  filesChanged()
}
