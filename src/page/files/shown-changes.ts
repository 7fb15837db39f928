import { notifyWhenFree } from '../notices.tsx'
import { parentOf } from '../paths.ts'
import { texts } from '../texts.ts'
import { openFolder, view } from '../view.ts'
import { filesChanged } from './changes.ts'
import { entries, isAfter, isFolder, type Entry } from './entries.ts'
import { isScattered } from './list-choice.ts'
import { countSteps, type Change } from './many.ts'

/** The present state of entries that have changed, by id; undefined of those that are gone. */
type States = ReadonlyMap<string, Entry | undefined>

/** Shows changes in the list at once. What else depends on them is loaded again. */
export function showChanges (changes: readonly Change[]): void {
  if (changes.length === 0) return
  tellArrivals(changes)
  countSteps(changes)
  const all = changes.map(({ id, file, folder }) => [id, listed(file ?? folder)] as const)
  const states = new Map(all.filter(([id, state]) => !isShown(id, state)))
  // A list that is being loaded may have the changes already. To change it would abort the load, again and again.
  const isChangeable = !isScattered.peek() && !entries.isLoading.peek()
  if (states.size > 0 && isChangeable) entries.change(all => merged(all, states))
  filesChanged()
}

/** Says what visitors have sent by a link. */
function tellArrivals (changes: readonly Change[]): void {
  const arrived = changes.filter(({ linkId, file }) => linkId !== undefined && file !== undefined)
  const last = arrived.at(-1)
  if (last !== undefined) notifyWhenFree({ text: texts.links.arrived(arrived.length, last.name) })
}

/** The entry, if it is in the open folder. */
function listed (entry: Entry | undefined): Entry | undefined {
  const isOpen = entry !== undefined && view.peek() === 'files' && parentOf(entry.name) === openFolder.peek()
  return isOpen ? entry : undefined
}

/** Whether the page itself has made the change, and shows it already. */
function isShown (id: string, state: Entry | undefined): boolean {
  const shown = entries.entries.peek().find(entry => entry.id === id)
  if (state === undefined || shown === undefined) return state === shown
  if (shown.name !== state.name || shown.starred !== state.starred) return false
  return isFolder(state) || isFolder(shown) || (shown.updatedAt === state.updatedAt && shown.sha256 === state.sha256)
}

function merged (all: readonly Entry[], states: States): readonly Entry[] {
  const names = new Set(Array.from(states.values(), state => state?.name))
  // An entry that had one of these names has been renamed or deleted, as another change says.
  const result = all.filter(({ id, name }) => !states.has(id) && !names.has(name))
  for (const entry of states.values()) {
    if (entry === undefined) continue
    const place = result.findIndex(other => isAfter(other, entry))
    if (place !== -1) result.splice(place, 0, entry)
    // Otherwise its place may be in the part that is not loaded.
    else if (entries.isComplete.peek()) result.push(entry)
  }
  return result
}
