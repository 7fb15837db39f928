import { computed, signal } from '@preact/signals'
import { bodyOf, type Folder, type ListQuery, type MagicStore, type StoredFile } from 'magicstore'
import { MAX_PAGE_ENTRIES, type Page, type PageQuery } from '../pages.ts'
import { ancestorsOf, lastOf, parentOf } from '../paths.ts'
import { call } from '../session.ts'
import { addressOf, openFolder, view } from '../view.ts'
import { filesChanged } from './changes.ts'
import { folded } from './folded.ts'
import { createGridFocus } from './grid-focus.ts'
import { Listing } from './listing.ts'

/** How many names the server searches for one request. */
const MAX_SEARCHED_NAMES = 100_000

export type Order = Exclude<NonNullable<ListQuery['order']>, 'natural' | '-natural' | 'changed' | '-changed'>

/** Where a search looks: directly in the open folder, or in all of them. */
export type Scope = 'folder' | 'everywhere'

/** What is directly in the open folder, or a file that was found in another one. */
export type Entry = FolderEntry | StoredFile
export type FolderEntry = Folder & { readonly size?: never }

export const order = signal<Order>('name')

/** The text that names must contain; empty for all entries. */
export const searchText = signal('')

export const scope = signal<Scope>('folder')

/** Whether the list has the results of a search in all folders. */
export const isEverywhere = computed(() => searchText.value !== '' && scope.value === 'everywhere')

/** Whether the results may be incomplete: in an order by date or size, the server searches only some names. */
export const isIncomplete = signal(false)

/** The file that gets the focus as soon as its folder is listed. */
export const fileToFocus = signal<string | undefined>(undefined)

/** The folder whose entries are listed. */
let listedFolder = openFolder.peek()

/** The entries of the open folder: its folders by name, then its files in the chosen order. Or what was found. */
export const entries = new Listing<Entry>((query, signal) => {
  isIncomplete.value = false
  // No name within a folder contains a slash.
  if (searchText.value.includes('/')) return Promise.resolve({ entries: [], next: null })
  return call(store => isEverywhere.value ? loadFiles(store, query, signal) : loadEntries(store, query, signal))
}, ({ name }) => name)

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
  order.value = next
  showFromTop()
}

export function search (text: string): void {
  searchText.value = text
  showFromTop()
}

export function searchIn (next: Scope): void {
  scope.value = next
  showFromTop()
}

/** Opens the folder of a file that was found, with the focus on the file. */
export function showInFolder ({ name }: StoredFile): void {
  fileToFocus.value = name
  if (parentOf(name) !== openFolder.peek()) location.hash = addressOf(parentOf(name))
  else {
    searchText.value = ''
    entries.replace()
  }
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
  searchText.value = ''
  const below = [...ancestorsOf(before), before].find(path => parentOf(path) === folder)
  filesFocus.active.value = below === undefined ? undefined : { key: below, column: 0 }
  entries.replace()
}

/** Shows the new state of an entry at its place in the list. It may have had another name or another folder. */
export function placeEntry (entry: Entry, oldName = entry.name): void {
  entries.change(all => {
    // A change that the server reported may have added it already.
    const others = all.filter(({ name }) => name !== oldName && name !== entry.name)
    if (!isListed(entry)) return others
    const place = others.findIndex(other => isAfter(other, entry))
    return others.toSpliced(place === -1 ? others.length : place, 0, entry)
  })
  filesChanged()
}

/** Takes an entry off the list, because it was deleted. */
export function dropEntry ({ name }: Entry): void {
  entries.change(all => all.filter(entry => entry.name !== name))
  filesChanged()
}

/** Shows an entry in the list, with the focus. The user may have opened another folder or view. */
export function showEntry (entry: Entry): void {
  placeEntry(entry)
  if (view.peek() === 'files' && isListed(entry)) filesFocus.focus({ key: entry.name, column: 0 })
}

/** Whether an entry belongs to the folder that is listed, or to what is searched for everywhere. */
export function isListed (entry: Entry): boolean {
  return isEverywhere.value ? !isFolder(entry) && isFound(entry) : parentOf(entry.name) === listedFolder
}

function isFound ({ name }: Entry): boolean {
  return folded(lastOf(name)).includes(folded(searchText.value))
}

/** Runs an action on an entry of the list. If it fails, the row shows why. */
export async function runInRow<Row extends Entry> (
  entry: Row, action: (entry: Row) => Promise<unknown>
): Promise<void> {
  refused.value = undefined
  await action(entry).catch((error: unknown) => { refused.value = { name: entry.name, error } })
}

/** Whether `other` comes after a new entry in the order of the list. */
export function isAfter (other: Entry, entry: Entry): boolean {
  if (isFolder(other)) return isFolder(entry) && other.name > entry.name
  return isFolder(entry) || fileOrders[order.peek()](other, entry)
}

const fileOrders: Record<Order, (other: StoredFile, file: StoredFile) => boolean> = {
  name: (other, file) => other.name > file.name,
  '-name': (other, file) => other.name < file.name,
  newest: (other, file) => other.createdAt <= file.createdAt,
  oldest: (other, file) => other.createdAt > file.createdAt,
  largest: (other, file) => other.size <= file.size,
  smallest: (other, file) => other.size > file.size
}

/** Pages of the folders, then pages of the files. The cursor says which. */
async function loadEntries (store: MagicStore, query: PageQuery, signal: AbortSignal): Promise<Page<Entry>> {
  const { limit, cursor = 'folders' } = query
  const [kind, position] = cursor.split(' ')
  const at = position === undefined ? {} : { cursor: position }
  const filesAt = async (at: { cursor?: string }) => {
    const { entries, next } = await loadFiles(store, { limit, ...at }, signal)
    return { entries, next: next && `files ${next}` }
  }
  if (kind === 'files') return filesAt(at)
  const params = { query: { folder: listedFolder, limit, ...at } }
  // Both at once: usually one page has all folders, and the files follow it.
  const [answer, files] = await Promise.all([store.api.GET('/api/folders', { params, signal }), filesAt({})])
  const { folders, next } = bodyOf(answer)
  const found = folders.filter(isFound)
  if (next !== null) return { entries: found, next: `folders ${next}` }
  return { entries: [...found, ...files.entries], next: files.next }
}

async function loadFiles ({ api }: MagicStore, page: PageQuery, signal: AbortSignal): Promise<Page<StoredFile>> {
  const isSearch = searchText.value !== ''
  const search = isSearch ? { contains: searchText.value } : {}
  const place = isEverywhere.value ? {} : { folder: listedFolder }
  // The server returns one page for such a search.
  const isOnePage = isSearch && !isByName(order.value)
  const limit = isOnePage ? MAX_PAGE_ENTRIES : page.limit
  const query = { ...page, limit, ...place, ...search, order: order.value }
  const { files, next, searched } = bodyOf(await api.GET('/api/files', { params: { query }, signal }))
  const isFull = searched === MAX_SEARCHED_NAMES || files.length === limit
  if (isOnePage && isFull && !signal.aborted) isIncomplete.value = true
  return { entries: files, next }
}
