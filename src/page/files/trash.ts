import type { DeletedFile } from 'magicstore'
import { notify } from '../notices.tsx'
import { request } from '../requests.ts'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { filesChanged } from './changes.ts'
import { loadTrash } from './deletions.ts'
import { notifyProblem } from './files.ts'
import { restoreDeletion } from './folders.ts'
import { createGridFocus } from './grid-focus.ts'
import { Listing } from './listing.ts'

export const trash = new Listing<DeletedFile>(loadTrash, ({ id }) => id)

export const trashFocus = createGridFocus()

/**
 * Restores a file, and offers to restore those that were deleted in the same folder.
 * @throws what `call` throws; `name_taken` if there is a file of that name.
 */
export async function restoreFile ({ id, deletedWith }: DeletedFile, name?: string): Promise<void> {
  const restored = await call(store => store.restore(id, name === undefined ? {} : { name }))
  dropDeleted(id)
  const others = deletedWith !== null && trash.entries.value.some(file => file.deletedWith === deletedWith) && {
    label: texts.files.restoreDeletion,
    run: () => { restoreDeletion(deletedWith).catch(notifyProblem) }
  }
  notify({ text: texts.files.restored(restored.name), ...(others && { action: others }) })
}

export async function deleteForGood ({ id }: DeletedFile): Promise<void> {
  await request(api => api.DELETE('/api/trash/{id}', { params: { path: { id } } }))
  dropDeleted(id)
}

export async function emptyTrash (): Promise<void> {
  await request(api => api.DELETE('/api/trash'))
  trash.change(() => [])
  filesChanged()
  notify({ text: texts.files.trashEmptied })
}

/** Takes a file off the list, because it is no longer in the trash. */
export function dropDeleted (id: string): void {
  trash.change(entries => entries.filter(entry => entry.id !== id))
  filesChanged()
}
