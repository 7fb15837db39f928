import { computed, signal } from '@preact/signals'
import type { ListQuery } from 'magicstore'
import { hasDialogs } from '../dialog-history.ts'
import { folder } from '../folder.ts'
import { createStoredMap } from '../stored-texts.ts'
import { addressOf, openFolder, queryOf, view, type View } from '../view.ts'

/** The orders that people choose, and `name`, in which a search finds all. */
const orders = ['natural', '-natural', '-changed', 'changed', 'largest', 'smallest', 'name'] as const
export type Order = Extract<NonNullable<ListQuery['order']>, typeof orders[number]>

/** What is listed: a folder, what changed last, or what has a star. */
export type Listed = Extract<View, 'files' | 'recent' | 'starred'>

/** Where a search looks: in the open folder and all below it, or everywhere. */
export type Scope = 'folder' | 'everywhere'

/** The choice is written to the address this long after the last key: browsers refuse many changes at a time. */
const PAUSE_MS = 300

/** The most folders of which the order is kept. */
const MAX_FOLDERS = 500

/** Orders by folder. They stay after the user has signed out, so the keys are no names. */
const [loadOrders, saveOrders] = createStoredMap<Order>(`orders ${folder.pathname}`)

/** The words that names must contain; empty for all entries. */
export const searchText = signal('')
export const scope = signal<Scope>('folder')
export const order = signal<Order>('natural')

export const isSearch = computed(() => searchText.value !== '')

export const listed = signal<Listed>('files')

/** Whether what is listed may lie in several folders. */
export const isScattered = computed(() => isSearch.value || listed.value !== 'files')

/** Takes the search and the order of the open folder from the address, and else the order that it had before. */
export function readChoice (): void {
  const query = queryOf(location.hash)
  const known = orders.find(name => name === query.get('order'))
  searchText.value = query.get('search') ?? ''
  scope.value = query.get('in') === 'everywhere' ? 'everywhere' : 'folder'
  const kept = known ?? orders.find(name => name === loadOrders()[keyOfPlace()]) ?? 'natural'
  order.value = listed.peek() === 'recent' ? '-changed' : kept
}

let timer: ReturnType<typeof setTimeout> | undefined

/** Writes them to the address when no key was pressed for a while. */
export function writeChoice (): void {
  clearTimeout(timer)
  const path = openFolder.peek()
  timer = setTimeout(() => {
    // An open dialog has an entry of its own in the history, which ends with it.
    if (hasDialogs()) writeChoice()
    else if (view.peek() === 'files' && openFolder.peek() === path) writeAddress()
  }, PAUSE_MS)
}

/** Writes them to the address now, without an entry in the history. */
export function writeAddress (): void {
  clearTimeout(timer)
  if (view.peek() !== 'files') return
  const search = searchText.peek()
  history.replaceState(history.state, '', addressOf(openFolder.peek(), {
    ...search !== '' && { search },
    ...search !== '' && scope.peek() === 'everywhere' && { in: scope.peek() },
    ...order.peek() !== 'natural' && { order: order.peek() }
  }))
}

/** Keeps the order of the open folder in the browser. */
export function keepOrder (next: Order): void {
  const { [keyOfPlace()]: _, ...others } = loadOrders()
  const kept = Object.entries(others).slice(1 - MAX_FOLDERS)
  saveOrders(Object.fromEntries(next === 'natural' ? kept : [...kept, [keyOfPlace(), next]]))
}

/** No folder has the path `/`. */
function keyOfPlace (): string {
  return keyOf(listed.peek() === 'files' ? openFolder.peek() : '/')
}

/** A number that stands for a text (FNV-1a). Two of one number would share a choice, and nothing else. */
export function keyOf (text: string): string {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  // Not an integer: objects list those first.
  return `f${hash >>> 0}`
}
