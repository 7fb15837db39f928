import { batch, signal } from '@preact/signals'
import type { DeletedFile, Deletion } from 'magicstore'
import { PageError, statusOf } from '../errors.ts'
import { notify } from '../notices.tsx'
import type { Page, PageQuery } from '../pages.ts'
import { request } from '../requests.ts'
import { call } from '../session.ts'
import { texts } from '../later-texts.ts'
import { openDeletion } from '../view.ts'
import { filesChanged } from './changes.ts'
import { createGridFocus } from './grid-focus.ts'
import { Listing } from './listing.ts'
import { Selection } from './selection.ts'
import type { Item } from './server-acts.ts'

/** The deletions in the trash, or the files of the open one, as if each had been deleted alone. */
export const trash = new Listing<Deletion>(loadEntries, keyOfDeletion)

/** The chosen entries of the trash. */
export const chosenDeleted = new Selection<Deletion>(trash, keyOfDeletion)

/** The open deletion, and the paths of its folders; undefined until it is loaded. */
export const opened = signal<{ readonly deletion: Deletion, readonly folders: readonly string[] } | undefined>()

export const trashFocus = createGridFocus()

export function keyOfDeletion ({ deletedWith, file }: Deletion): string {
  return deletedWith ?? String(file?.id)
}

/** What a deletion took, in words. */
export function contentOf ({ files, folders }: Pick<Deletion, 'files' | 'folders'>): string {
  const { usage } = texts.files
  const parts = [
    ...files > 0 ? [usage.files(files)] : [],
    ...folders > 0 ? [usage.folders(folders)] : []
  ]
  return parts.join(', ')
}

/** The title of a deletion. */
export function titleOf (deletion: Deletion): string {
  const { kind, name } = deletion
  return kind === 'many' ? texts.files.deletedFrom(contentOf(deletion), name) : name
}

/** @throws what `call` throws. */
async function loadEntries (query: PageQuery, signal: AbortSignal): Promise<Page<Deletion>> {
  const id = openDeletion.peek()
  if (id === '') {
    const { deletions: entries, next } =
      await request(api => api.GET('/api/trash/deletions', { params: { query }, signal }))
    return { entries, next }
  }
  const { deletion, folders, files, next } = await request(api =>
    api.GET('/api/trash/deletions/{id}', { params: { path: { id }, query }, signal })).catch(leaveIfGone)
  const known = query.cursor === undefined ? [] : opened.peek()?.folders ?? []
  opened.value = { deletion, folders: [...known, ...folders].sort() }
  return { entries: files.map(aloneOf), next }
}

function aloneOf (file: DeletedFile): Deletion {
  const { name, size, deletedAt, expiresAt } = file
  return { deletedWith: null, kind: 'file', name, files: 1, folders: 0, size, deletedAt, expiresAt, file }
}

/** Nothing is left of the open deletion: shows the trash. */
function leaveIfGone (error: unknown): never {
  if (statusOf(error) === 404) location.replace('#trash')
  throw error
}

/**
 * Restores what one deletion took; a file that was deleted alone under another name, if one is given. Returns what an
 * undo would move to the trash again.
 * @throws what `call` throws; `name_taken` if there is a file of that name; PageError if some stay in the trash.
 */
export async function restore (deletion: Deletion, name?: string): Promise<readonly Item[]> {
  const { deletedWith, file } = deletion
  if (deletedWith === null) {
    const restored = await call(store => store.restore(String(file?.id), name === undefined ? {} : { name }))
    dropDeletion(deletion)
    return [{ name: restored.name, id: restored.id, state: restored.sha256 }]
  }
  const { kept, placed } = await call(store => store.restoreDeletion(deletedWith))
  filesChanged()
  if (kept.length > 0) throw new PageError(texts.folders.kept(kept.length))
  dropDeletion(deletion)
  return placed
}

/** @throws what `call` throws. */
export async function deleteForGood (deletion: Deletion): Promise<void> {
  const { deletedWith, file } = deletion
  await request(api => deletedWith === null
    ? api.DELETE('/api/trash/{id}', { params: { path: { id: String(file?.id) } } })
    : api.DELETE('/api/trash/deletions/{id}', { params: { path: { id: deletedWith } } }))
  dropDeletion(deletion)
}

export async function emptyTrash (): Promise<void> {
  await request(api => api.DELETE('/api/trash'))
  trash.change(() => [])
  filesChanged()
  notify({ text: texts.files.trashEmptied })
}

/** Takes a deletion off the list, because it is no longer in the trash. */
function dropDeletion (deletion: Deletion): void {
  const key = keyOfDeletion(deletion)
  batch(() => {
    trash.change(entries => entries.filter(entry => keyOfDeletion(entry) !== key))
    filesChanged()
  })
}
