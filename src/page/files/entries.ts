import { computed, signal } from '@preact/signals'
import { bodyOf, type Folder, type ListQuery, type MagicStore, type StoredFile } from 'magicstore'
import type { Page, PageQuery } from '../pages.ts'
import { ancestorsOf, lastOf, parentOf } from '../paths.ts'
import { call } from '../session.ts'
import { openFolder } from '../view.ts'
import { filesChanged } from './changes.ts'
import { createGridFocus } from './grid-focus.ts'
import { Listing } from './listing.ts'

export type Order = NonNullable<ListQuery['order']>

/** What is directly in the open folder. */
export type Entry = FolderEntry | StoredFile
export type FolderEntry = Folder & { readonly size?: never }

const chosenOrder = signal<Order>('name')

/** The prefix that is searched for; empty for all entries. */
export const prefix = signal('')

/** The API searches by name only in the orders by name. The chosen order comes back with an empty search. */
export const order = computed<Order>(() => prefix.value === '' || isByName(chosenOrder.value) ? chosenOrder.value : 'name')

/** The folder whose entries are listed. */
let listedFolder = openFolder.peek()

/** The entries of the open folder: its folders by name, then its files in the chosen order. */
export const entries = new Listing<Entry>((query, signal) => {
  // No segment contains one.
  if (prefix.value.includes('/')) return Promise.resolve({ entries: [], next: null })
  return call(store => loadEntries(store, query, signal))
})

export const files = computed(() => entries.entries.value.filter(entry => !isFolder(entry)))

export const filesFocus = createGridFocus()

/** The entry whose last action failed, and why. */
export const refused = signal<{ readonly name: string, readonly error: unknown } | undefined>(undefined)

export function isFolder (entry: Entry): entry is FolderEntry {
  return !('size' in entry)
}

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
  entries.restart()
}

/** Loads the open folder. After going up, the folder that was left is the active row. */
export function showFolder (): void {
  const [folder, before] = [openFolder.peek(), listedFolder]
  if (folder === before) return entries.refresh()
  listedFolder = folder
  prefix.value = ''
  const below = [...ancestorsOf(before), before].find(path => parentOf(path) === folder)
  filesFocus.active.value = below === undefined ? undefined : { key: below, column: 0 }
  entries.replace()
}

/** Shows the new state of an entry in the list, which may have had another name or another folder. */
export function placeEntry (entry: Entry, oldName = entry.name): void {
  entries.change(all => {
    const index = all.findIndex(({ name }) => name === oldName)
    const others = all.filter(({ name }) => name !== oldName)
    if (!isListed(entry)) return others
    const place = index !== -1 && !isFolder(entry) ? index : others.findIndex(other => isAfter(other, entry))
    return others.toSpliced(place === -1 ? others.length : place, 0, entry)
  })
  filesChanged()
}

/** Whether an entry belongs to the folder that is listed. */
export function isListed ({ name }: Entry): boolean {
  return parentOf(name) === listedFolder
}

/** Runs an action on an entry of the list. If it fails, the row shows why. */
export async function runInRow<Row extends Entry> (
  entry: Row, action: (entry: Row) => Promise<unknown>
): Promise<void> {
  refused.value = undefined
  await action(entry).catch((error: unknown) => { refused.value = { name: entry.name, error } })
}

/** Whether an entry comes after one that is new in the list. */
function isAfter (other: Entry, entry: Entry): boolean {
  return !isFolder(other) || (isFolder(entry) && other.name > entry.name)
}

/** Pages of the folders, then pages of the files. The cursor says which. */
async function loadEntries (
  { api }: MagicStore, { limit, cursor = 'folders' }: PageQuery, signal: AbortSignal
): Promise<Page<Entry>> {
  const [kind, position] = cursor.split(' ')
  const query = { folder: listedFolder, limit }
  const at = position === undefined ? {} : { cursor: position }
  const loadFiles = async (at: { cursor?: string }) => {
    const search = prefix.value === '' ? {} : { prefix: prefix.value }
    const { files, next } = bodyOf(await api.GET('/api/files', { params: { query: { ...query, ...at, ...search, order: order.value } }, signal }))
    return { entries: files, next: next && `files ${next}` }
  }
  if (kind === 'files') return loadFiles(at)
  // At the same time: most folders have few folders.
  const [answer, files] = await Promise.all([api.GET('/api/folders', { params: { query: { ...query, ...at } }, signal }), loadFiles({})])
  const { folders, next } = bodyOf(answer)
  const found = folders.filter(({ name }) => lastOf(name).startsWith(prefix.value.normalize('NFC')))
  if (next !== null) return { entries: found, next: `folders ${next}` }
  return { entries: [...found, ...files.entries], next: files.next }
}
