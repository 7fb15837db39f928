import { computed, signal } from '@preact/signals'
import { bodyOf, type Folder, type MagicStore, type StoredFile } from 'magicstore'
import { MAX_PAGE_ENTRIES, type Page, type PageQuery } from '../pages.ts'
import { ancestorsOf, isWithin, lastOf, parentOf } from '../paths.ts'
import { call } from '../session.ts'
import { addressOf, openFolder, view } from '../view.ts'
import { filesChanged } from './changes.ts'
import { folded } from './folded.ts'
import { createGridFocus } from './grid-focus.ts'
import {
  isSearch, keepOrder, listed, order, readChoice, scope, searchText, writeAddress, writeChoice, type Listed, type Order,
  type Scope
} from './list-choice.ts'
import { Listing } from './listing.ts'
import { compareNames } from './name-order.ts'

/** With more, the server may have ended a search before the last name. */
const SEARCHED_NAMES = 98_000

/** What is directly in the open folder, or what lies in others. */
export type Entry = FolderEntry | StoredFile
export type FolderEntry = Folder & { readonly size?: never }

/** Whether the results may be incomplete: but in the order `name`, the server searches only some names. */
export const isIncomplete = signal(false)

/** The file that gets the focus as soon as its folder is listed. */
export const fileToFocus = signal<string | undefined>(undefined)

/** The folder whose entries are listed. */
let listedFolder = openFolder.peek()

export const folderOfList = () => listedFolder

/** Whether its search and order have been read from the address. */
let hasChoice = false

/** The entries of the open folder: its folders by name, then its files in the chosen order. Or others, so ordered. */
export const entries = new Listing<Entry>((query, signal) => {
  isIncomplete.value = false
  // No name within a folder contains a slash.
  if (searchText.value.includes('/')) return Promise.resolve({ entries: [], next: null })
  return call(store => loadEntries(store, query, signal))
}, ({ name }) => name)

/** The files of another view than the list, through which previews go. */
export const filesBeside = signal<readonly StoredFile[] | undefined>(undefined)

export const files = computed(() => filesBeside.value ?? entries.entries.value.filter(entry => !isFolder(entry)))

export const filesFocus = createGridFocus()

/** The entry whose last action failed, and why. */
export const refused = signal<{ readonly name: string, readonly error: unknown } | undefined>(undefined)

export function isFolder (entry: Entry): entry is FolderEntry {
  return !('size' in entry)
}

export function sortBy (next: Order): void {
  order.value = next
  // In this order only a search finds more.
  if (next !== 'name') keepOrder(next)
  writeChoice()
  showFromTop()
}

export function search (text: string): void {
  searchText.value = text
  writeChoice()
  showFromTop()
}

export function searchIn (next: Scope): void {
  scope.value = next
  writeChoice()
  showFromTop()
}

/** Opens the folder of what was found, with the focus on it. Back returns to what was found. */
export function showInFolder ({ name }: Entry): void {
  fileToFocus.value = name
  writeAddress()
  location.hash = addressOf(parentOf(name))
}

function showFromTop (): void {
  filesFocus.active.value = undefined
  entries.restart()
}

/** Lists what the address says, if that is another search or order than the listed one. */
export function followAddress (): void {
  if (view.peek() !== listed.peek()) return
  const before = [searchText.peek(), scope.peek(), order.peek()].join()
  readChoice()
  if (before !== [searchText.peek(), scope.peek(), order.peek()].join()) entries.replace()
}

/** Loads the open folder, or what the view lists. After going up, the folder that was left is the active row. */
export function showFolder (): void {
  const [folder, before] = [openFolder.peek(), listedFolder]
  if (folder === before && view.peek() === listed.peek() && hasChoice) return entries.refresh()
  listedFolder = folder
  listed.value = view.peek() as Listed
  hasChoice = true
  readChoice()
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
  if (view.peek() === listed.peek() && isListed(entry)) filesFocus.focus({ key: entry.name, column: 0 })
}

/** Whether an entry belongs to what is listed. */
export function isListed (entry: Entry): boolean {
  if (listed.value === 'starred') return entry.starred
  if (listed.value === 'recent') return !isFolder(entry)
  return isSearch.value ? isFound(entry) : parentOf(entry.name) === listedFolder
}

function isFound ({ name }: Entry): boolean {
  const isInScope = scope.value === 'everywhere' || listedFolder === '' || isWithin(parentOf(name), listedFolder)
  const last = folded(lastOf(name))
  return isInScope && folded(searchText.value).split(/\s+/u).every(word => last.includes(word))
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
  if (isFolder(other)) return isFolder(entry) && isBehind(other, entry, order.peek() === '-natural')
  return isFolder(entry) || fileOrders[order.peek()](other, entry)
}

function isBehind (other: Entry, entry: Entry, isReverse = false): boolean {
  const sign = isReverse ? -1 : 1
  return sign * compareNames(lastOf(other.name), lastOf(entry.name)) > 0
}

const fileOrders: Record<Order, (other: StoredFile, file: StoredFile) => boolean> = {
  name: (other, file) => other.name > file.name,
  natural: (other, file) => isBehind(other, file),
  '-natural': (other, file) => isBehind(other, file, true),
  changed: (other, file) => other.changedAt > file.changedAt,
  '-changed': (other, file) => other.changedAt <= file.changedAt,
  largest: (other, file) => other.size <= file.size,
  smallest: (other, file) => other.size > file.size
}

/** Pages of the folders, then pages of the files. The cursor says which. */
async function loadEntries (store: MagicStore, query: PageQuery, signal: AbortSignal): Promise<Page<Entry>> {
  const { limit, cursor = listed.value === 'recent' ? 'files' : 'folders' } = query
  const [kind, position] = cursor.split(' ')
  const at = position === undefined ? {} : { cursor: position }
  const filesAt = async (at: { cursor?: string }) => {
    const { entries, next } = await loadFiles(store, { limit, ...at }, signal)
    return { entries, next: next && `files ${next}` }
  }
  if (kind === 'files') return filesAt(at)
  // Both at once: usually one page has all folders, and the files follow it.
  const [folders, files] = await Promise.all([loadFolders(store, { limit, ...at }, signal), filesAt({})])
  if (folders.next !== null) return { entries: folders.entries, next: `folders ${folders.next}` }
  return { entries: [...folders.entries, ...files.entries], next: files.next }
}

async function loadFolders ({ api }: MagicStore, page: PageQuery, signal: AbortSignal): Promise<Page<FolderEntry>> {
  const byName = order.value === 'name' || order.value === '-natural' ? order.value : 'natural'
  const query = { ...queryOf(page), order: byName } as const
  const { folders, next, searched } = bodyOf(await api.GET('/api/folders', { params: { query }, signal }))
  noteIncomplete({ searched, isFull: folders.length === query.limit }, signal)
  return { entries: folders, next }
}

async function loadFiles ({ api }: MagicStore, page: PageQuery, signal: AbortSignal): Promise<Page<StoredFile>> {
  const query = { ...queryOf(page), order: order.value }
  const { files, next, searched } = bodyOf(await api.GET('/api/files', { params: { query }, signal }))
  noteIncomplete({ searched, isFull: files.length === query.limit }, signal)
  return { entries: files, next }
}

/** What is listed. Of a search in an order but `name`, the server returns one page. */
function queryOf (page: PageQuery) {
  if (listed.value !== 'files') return { ...page, starred: listed.value === 'starred' }
  if (!isSearch.value) return { ...page, folder: listedFolder }
  const limit = order.value === 'name' ? page.limit : MAX_PAGE_ENTRIES
  const place = scope.value === 'everywhere' ? {} : { folder: listedFolder, below: true }
  return { ...page, limit, words: searchText.value, ...place }
}

function noteIncomplete (
  { searched = 0, isFull }: { searched?: number | undefined, isFull: boolean }, { aborted }: AbortSignal
): void {
  const isOnePage = isSearch.value && order.value !== 'name'
  if (isOnePage && (isFull || searched > SEARCHED_NAMES) && !aborted) isIncomplete.value = true
}
