import { computed, signal } from '@preact/signals'
import { bodyOf, type DeletedFile, type ListQuery, type StoredFile } from 'magicstore'
import { notify } from '../notices.tsx'
import { describe } from '../problem.tsx'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { view } from '../view.ts'
import { filesChanged } from './changes.ts'
import { createGridFocus } from './grid-focus.ts'
import { Listing } from './listing.ts'

export type Order = NonNullable<ListQuery['order']>

const chosenOrder = signal<Order>('name')

/** The prefix that is searched for; empty for all files. */
export const prefix = signal('')

/** The API searches by name only in the orders by name. The chosen order comes back with an empty search. */
export const order = computed<Order>(() => prefix.value === '' || isByName(chosenOrder.value) ? chosenOrder.value : 'name')

export const files = new Listing<StoredFile>(async ({ limit, ...cursor }, signal) => {
  const query = { limit, ...cursor, order: order.value, ...(prefix.value !== '' && { prefix: prefix.value }) }
  const { files: entries, next } = await call(async store => bodyOf(await store.api.GET('/api/files', { params: { query }, signal })))
  return { entries, next }
})

export const filesFocus = createGridFocus()

/** The file whose last action failed, and why. */
export const refused = signal<{ readonly name: string, readonly error: unknown } | undefined>(undefined)

export function isByName (order: Order): boolean {
  return order === 'name' || order === '-name'
}

export function sortBy (next: Order): void {
  chosenOrder.value = next
  showFromTop()
}

export function search (text: string): void {
  prefix.value = text
  showFromTop()
}

function showFromTop (): void {
  filesFocus.active.value = undefined
  files.restart()
}

/** Shows the new state of a file in the list, which may have had another name. */
export function replaceEntry (file: StoredFile, oldName = file.name): void {
  files.change(entries => entries.map(entry => entry.name === oldName ? file : entry))
  filesChanged()
}

/** Renames a file. @throws what `call` throws; the server refuses a name that is taken or not possible. */
export async function renameFile ({ name }: StoredFile, newName: string): Promise<StoredFile> {
  const renamed = await call(store => store.rename(name, newName))
  replaceEntry(renamed, name)
  filesFocus.focus({ key: renamed.name, column: 0 })
  notify({ text: texts.files.renamed(renamed.name) })
  return renamed
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
  try {
    await call(store => store.remove(file.name))
    await showRemoval(file)
  } finally {
    leaving.delete(file.name)
  }
}

/** Runs an action on a file of the list. If it fails, the row of the file shows why. */
export async function runInRow (file: StoredFile, action: (file: StoredFile) => Promise<void>): Promise<void> {
  refused.value = undefined
  await action(file).catch((error: unknown) => { refused.value = { name: file.name, error } })
}

async function showRemoval (file: StoredFile): Promise<void> {
  const index = files.entries.value.findIndex(({ name }) => name === file.name)
  files.change(entries => entries.filter(({ name }) => name !== file.name))
  filesChanged()
  const deleted = await findDeleted(file).catch((error: unknown) => ({ error }))
  if (deleted !== undefined && 'error' in deleted) notify({ text: texts.files.removed(file.name) })
  else if (deleted === undefined) notify({ text: texts.files.deletedForGood(file.name) })
  else {
    notify({
      text: texts.files.deleted(file.name),
      action: { label: texts.files.undo, run: () => { void undoRemoval(deleted, index) } }
    })
  }
}

/**
 * The entry of a deleted file in the trash: the newest one with its name. Its content may be newer than what the list
 * shows.
 */
async function findDeleted (file: StoredFile): Promise<DeletedFile | undefined> {
  const { files: newest } = await call(async store => bodyOf(await store.api.GET('/api/trash', { params: { query: { limit: 1000 } } })))
  return newest.find(({ name }) => name === file.name)
}

async function undoRemoval ({ id }: DeletedFile, index: number): Promise<void> {
  try {
    const restored = await call(store => store.restore(id))
    files.change(entries => entries.toSpliced(index === -1 ? 0 : index, 0, restored))
    if (view.value === 'files') filesFocus.focus({ key: restored.name, column: 0 })
    filesChanged()
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
