import { MagicStoreError } from 'magicstore'
import { PageError } from '../errors.ts'
import { titleOf } from '../problem-words.ts'
import { filesChanged } from './changes.ts'
import { notifyProblem } from './files.ts'
import { failed, runOnServer, withinRateLimit, type Change, type Failure, type ManyAct } from './many.ts'

/** The most that the server takes in one request. Of more, several requests are sent. */
export const MAX_ITEMS = 10_000
const MAX_BYTES = 3_500_000

/** A file or folder that an act is about; with `id`, only if it has that by now. */
export interface Item { readonly name: string, readonly id?: string }

interface Outcome { refused: { name: string, code: string }[] }

/** What became of the items of one request: the result, or why all of them were refused. */
interface Part<Result> { readonly items: readonly Item[], readonly result?: Result, readonly error?: unknown }

interface Sent<Result> {
  readonly act: ManyAct
  readonly items: readonly Item[]
  /** Whether a change is that of one of the items. */
  readonly isStep: (change: Change) => boolean
  readonly send: (items: Item[], signal: AbortSignal) => Promise<Result>
}

export interface Sending<Result> {
  readonly results: readonly Result[]
  /** The names of those that were not refused. */
  readonly done: ReadonlySet<string>
  /** What a deletion would have lost from the trash: it has done nothing to these. */
  readonly losing: { readonly items: readonly Item[], readonly lost: number }
}

/** Has the server act on items. A dialog names those that it refused, and a notice says why requests failed. */
export async function sendAll<Result extends Outcome> (
  { act, items, isStep, send }: Sent<Result>
): Promise<Sending<Result>> {
  const parts: Part<Result>[] = await runOnServer({
    act,
    all: items.length,
    isStep,
    run: signal => Promise.all(partsOf(items).map(async items => {
      try {
        return { items, result: await withinRateLimit(() => send(items, signal)) }
      } catch (error) {
        return signal.aborted ? { items } : { items, error }
      }
    }))
  })
  filesChanged()
  const failures = parts.flatMap(({ result }) => result?.refused ?? []).map(failureOf)
  failed.value = failures.length === 0 ? undefined : { act, failures }
  const full = parts.filter(({ error }) => lostBy(error) > 0)
  for (const { error } of parts) if (error !== undefined && lostBy(error) === 0) notifyProblem(error)
  const refused = new Set(failures.map(({ name }) => name))
  const acted = parts.filter(({ result }) => result !== undefined)
  return {
    results: acted.flatMap(({ result }) => result ?? []),
    done: new Set(acted.flatMap(({ items }) => items.map(({ name }) => name)).filter(name => !refused.has(name))),
    losing: {
      items: full.flatMap(({ items }) => items),
      lost: full.reduce((sum, { error }) => sum + lostBy(error), 0)
    }
  }
}

/** How many older contents a deletion would lose; 0 for other errors. */
function lostBy (error: unknown): number {
  return error instanceof MagicStoreError && error.code === 'trash_full' ? error.problem?.lost ?? 0 : 0
}

function failureOf ({ name, code }: Outcome['refused'][number]): Failure {
  return { name, error: new PageError(titleOf(code)) }
}

function partsOf (items: readonly Item[]): Item[][] {
  const parts: Item[][] = []
  let part: Item[] = []
  let bytes = 0
  for (const { name, id } of items) {
    const item = id === undefined ? { name } : { name, id }
    // In UTF-8, a name has at most three bytes for each unit of its string; in JSON, control characters do not occur.
    const size = name.length * 3 + 60
    if (part.length === MAX_ITEMS || bytes + size > MAX_BYTES) {
      parts.push(part)
      part = []
      bytes = 0
    }
    part.push(item)
    bytes += size
  }
  return [...parts, part]
}
