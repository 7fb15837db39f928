import type { ChangeList } from 'magicstore'
import { folder } from '../folder.ts'
import { parentOf } from '../paths.ts'
import { openFolder, view } from '../view.ts'
import { filesChanged } from './changes.ts'
import { entries, isAfter, isFolder, searchText, type Entry } from './entries.ts'

/** A change of a file or folder of the account. */
type Change = ChangeList['changes'][number]

/** The last state of entries that have changed, by name; undefined if there is none of this name any more. */
type States = ReadonlyMap<string, Entry | undefined>

/** Shows changes in the list at once. What else depends on them is loaded again. */
export function showChanges (changes: readonly Change[]): void {
  if (changes.length === 0) return
  const all = Array.from(statesAfter(changes))
  const states = new Map(all.filter(([name, state]) => isInOpenFolder(name) && !isShown(name, state)))
  // What is being loaded may have the changes, and must not be aborted again and again.
  if (states.size > 0 && searchText.peek() === '' && !entries.isLoading.peek()) entries.change(all => merged(all, states))
  filesChanged()
}

function statesAfter (changes: readonly Change[]): States {
  const states = new Map<string, Entry | undefined>()
  for (const change of changes) {
    if (change.from !== undefined) states.set(change.from, undefined)
    states.set(change.name, stateAfter(change))
  }
  return states
}

function stateAfter ({ kind, name, at, file }: Change): Entry | undefined {
  switch (kind) {
    case 'stored':
    case 'moved':
      // It may have got another name since, as a later change says.
      return file?.name === name ? file : undefined
    case 'folder_made':
    case 'folder_moved':
      // A folder that was moved is older: the list is loaded again soon.
      return { name, createdAt: at, url: `${folder.href}api/folders/${encodeURIComponent(name)}` }
    case 'deleted':
    case 'folder_deleted': return undefined
  }
}

function isInOpenFolder (name: string): boolean {
  return view.peek() === 'files' && parentOf(name) === openFolder.peek()
}

/** Whether the page itself has made the change, and shows it already. */
function isShown (name: string, state: Entry | undefined): boolean {
  const shown = entries.entries.peek().find(entry => entry.name === name)
  if (state === undefined || shown === undefined) return state === shown
  if (isFolder(state) || isFolder(shown)) return isFolder(state) && isFolder(shown)
  return shown.updatedAt === state.updatedAt && shown.sha256 === state.sha256
}

function merged (all: readonly Entry[], states: States): readonly Entry[] {
  const result = all.filter(({ name }) => !states.has(name))
  for (const entry of states.values()) {
    if (entry === undefined) continue
    const place = result.findIndex(other => isAfter(other, entry))
    if (place !== -1) result.splice(place, 0, entry)
    // Otherwise its place may be in the part that is not loaded.
    else if (entries.isComplete.peek()) result.push(entry)
  }
  return result
}
