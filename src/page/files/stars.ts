import { request } from '../requests.ts'
import { filesChanged } from './changes.ts'
import { entries, isFolder, type Entry } from './entries.ts'
import { listed } from './list-choice.ts'
import { runAll } from './many.ts'

/** Gives an entry a star, or takes the one that it has. @throws what `call` throws. */
export async function toggleStar (entry: Entry): Promise<void> {
  show([await send(entry, !entry.starred)])
}

/** Gives a star to those of some entries that have none. If all have one, takes it. */
export async function toggleStars (chosen: readonly Entry[]): Promise<void> {
  const starred = chosen.some(entry => !entry.starred)
  show(await runAll('star', chosen.filter(entry => entry.starred !== starred), entry => send(entry, starred)))
}

function send (entry: Entry, starred: boolean): Promise<Entry> {
  const { name, id } = entry
  const init = { params: { path: { name }, query: { id } }, body: { starred } }
  return isFolder(entry)
    ? request<Entry>(api => api.PATCH('/api/folders/{name}', init))
    : request<Entry>(api => api.PATCH('/api/files/{name}', init))
}

/** A star changes the place of nothing in a list, but in that of what has one, an entry without is gone. */
function show (changed: readonly Entry[]): void {
  const isPlaced = ({ starred }: Entry) => starred || listed.peek() !== 'starred'
  const states = new Map(changed.map(entry => [entry.id, entry]))
  entries.change(all => all.map(entry => states.get(entry.id) ?? entry).filter(isPlaced))
  filesChanged()
}
