import type { DeletedFile, StoredFile } from 'magicstore'
import { PageError, statusOf } from '../errors.ts'
import { dismiss, notify } from '../notices.tsx'
import { MAX_PAGE_ENTRIES } from '../pages.ts'
import { describe } from '../problem.tsx'
import { request } from '../requests.ts'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { dropEntry, showEntry } from './entries.ts'

/** A new name stays in its folder. @throws PageError for a path. */
export function requireSegment (name: string): void {
  if (name.includes('/')) throw new PageError(texts.files.slash)
}

/** Names of files that are being deleted: a key that is pressed twice must not delete a file twice. */
const deleting = new Set<string>()

/**
 * Moves a file to the trash and offers to undo that. A server without a trash deletes the file for good.
 * @throws what `call` throws.
 */
export async function removeFile (file: StoredFile): Promise<void> {
  if (deleting.has(file.name)) return
  deleting.add(file.name)
  dismiss()
  try {
    await call(store => store.remove(file.name))
    await showRemoval(file)
  } finally {
    deleting.delete(file.name)
  }
}

async function showRemoval (file: StoredFile): Promise<void> {
  dropEntry(file)
  const deleted = await findInTrash(({ name }) => name === file.name).catch((error: unknown) => ({ error }))
  if (deleted !== undefined && 'error' in deleted) notify({ text: texts.files.removed(file.name) })
  else if (deleted === undefined) notify({ text: texts.files.deletedForGood(file.name) })
  else notifyWithUndo(texts.files.deleted(file.name), () => undoRemoval(deleted))
}

/** The newest file of the trash that matches. @throws what `call` throws. */
async function findInTrash (matches: (file: DeletedFile) => boolean): Promise<DeletedFile | undefined> {
  const params = { query: { limit: MAX_PAGE_ENTRIES } }
  const { files: newest } = await request(api => api.GET('/api/trash', { params }))
  return newest.find(matches)
}

async function undoRemoval ({ id }: DeletedFile): Promise<void> {
  const restored = await call(store => store.restore(id))
  showEntry(restored)
  notify({ text: texts.files.restored(restored.name) })
}

/** Shows a notice of an act that can be undone. If the server did not answer, that is offered again. */
export function notifyWithUndo (text: string, undo: () => Promise<void>): void {
  const retry = (error: unknown) => {
    const why = wordsOf(error)
    const notDone = why === undefined ? text : texts.files.notUndone(why)
    if (statusOf(error) === undefined) notifyWithUndo(notDone, undo)
    else notify({ text: notDone })
  }
  notify({ text, undo: () => { undo().catch(retry) } })
}

/** Shows why the action of a notice failed, in another notice. */
export function notifyProblem (error: unknown): void {
  const text = wordsOf(error)
  if (text !== undefined) notify({ text })
}

function wordsOf (error: unknown): string | undefined {
  const { title, detail } = describe(error) ?? {}
  return title === undefined || detail === undefined ? title : `${title}. ${detail}`
}
