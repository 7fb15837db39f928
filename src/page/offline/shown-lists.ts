import { signal, useSignalEffect } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { isOffline } from '../connection.ts'
import { isUnreachable } from '../errors.ts'
import { filesChanged } from '../files/changes.ts'
import { entries, folderOfList, isAfter, isListed, type Entry } from '../files/entries.ts'
import { isSearch } from '../files/list-choice.ts'
import { session, usernameOf } from '../session-state.ts'
import { openFolder, view } from '../view.ts'
import { forgetLists, keepList, loadLists, type KeptList } from './kept-lists.ts'

/** The lists that are kept, while the server can't be reached. */
const lists = signal<readonly KeptList[]>([])

/** Keeps the lists of folders that are visited, and shows them while the server can't be reached. */
export function useKeptLists (): void {
  useSignalEffect(forgetOthers)
  useKeeping()
  useSignalEffect(load)
  useSignalEffect(show)
  useSignalEffect(refresh)
}

/** A session that has ended leaves no lists, and another account has its own only. */
function forgetOthers (): void {
  const { kind } = session.value
  const isOver = kind === 'none' || kind === 'ended'
  if (isOver || kind === 'open') forgetLists(isOver ? undefined : usernameOf(session.value)).catch(() => {})
}

/** An effect of Preact, which runs when all that shows the folder has been rendered: a list changes in steps. */
function useKeeping (): void {
  const { entries: shown, isLoading, isComplete, error } = entries
  const isFolder = view.value === 'files' && !isSearch.value && session.value.kind === 'open'
  const isThere = !isLoading.value && error.value === undefined && (isComplete.value || shown.value.length > 0)
  const isWanted = isFolder && isThere && !isOffline.value
  useEffect(() => {
    const folder = folderOfList()
    if (!isWanted || folder !== openFolder.peek()) return
    keepList(usernameOf(session.peek()), folder, shown.peek()).catch(() => {})
  }, [isWanted, openFolder.value, shown.value])
}

function load (): void {
  if (!isOffline.value || session.value.kind !== 'open') lists.value = []
  else loadLists(session.value.username).then(loaded => { lists.value = loaded }, () => {})
}

function show (): void {
  if (lists.value.length === 0 || !isUnreachable(entries.error.value) || entries.entries.value.length > 0) return
  const found = lists.value.flatMap(({ entries }) => entries).filter(isListed).sort(compare)
  if (found.length > 0) entries.entries.value = found
}

/** The feed of changes may tell nothing new when the network is back. */
function refresh (): (() => void) | undefined {
  return isOffline.value ? filesChanged : undefined
}

function compare (a: Entry, b: Entry): number {
  if (isAfter(a, b)) return 1
  return isAfter(b, a) ? -1 : 0
}
