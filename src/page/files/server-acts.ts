import { MagicStoreError } from 'magicstore'
import { PageError } from '../errors.ts'
import { titleOf } from '../problem-words.ts'
import { filesChanged } from './changes.ts'
import { notifyProblem } from './files.ts'
import { failed, runOnServer, withinRateLimit, type Change, type Failure, type ManyAct } from './many.ts'

/** The most that the server takes in one request. Of more, several requests are sent. */
const MAX_ITEMS = 10_000
const MAX_BYTES = 3_500_000

/** So many are waited for when an act is stopped: what was done of them is to be undone, too. */
const ITEMS_IN_TURN = 20

/** A file or folder that an act is about; with `id` and `state`, only if it has those by now. */
export interface Item { readonly name: string, readonly id?: string, readonly state?: string }

interface Outcome { refused: { name: string, code: string, locked?: string[] }[] }

/** What became of the items of one request: the result, why all of them were refused, or neither if it was stopped. */
interface Part<Result> { readonly items: readonly Item[], readonly result?: Result, readonly error?: unknown }

interface Sent<Result> {
  readonly act: ManyAct
  readonly items: readonly Item[]
  /** Whether a change is that of one of the items. */
  readonly isStep: (change: Change) => boolean
  readonly send: (items: Item[], signal?: AbortSignal) => Promise<Result>
  /** Of an act that can be stopped: whether an item takes long. It is sent alone, and ended when the act is stopped. */
  readonly takesLong?: (item: Item) => boolean
}

export interface Sending<Result> {
  readonly results: readonly Result[]
  /** The names of those that were not refused. */
  readonly done: ReadonlySet<string>
  /** What a deletion would have lost from the trash: it has done nothing to these. */
  readonly losing: { readonly items: readonly Item[], readonly lost: number }
}

/**
 * Has the server act on items. A dialog names those that it refused, and those at which it was stopped; a notice says
 * why requests failed.
 */
export async function sendAll<Result extends Outcome> (
  { act, items, isStep, send, takesLong }: Sent<Result>
): Promise<Sending<Result>> {
  const sendPart = async (items: Item[], signal?: AbortSignal): Promise<Part<Result>> => {
    try {
      return { items, result: await withinRateLimit(() => send(items, signal)) }
    } catch (error) {
      return signal?.aborted === true ? { items } : { items, error }
    }
  }
  const parts = await runOnServer({
    act,
    all: items.length,
    isStep,
    run: async stopped => {
      if (takesLong === undefined) return Promise.all(partsOf(items).map(items => sendPart(items)))
      const parts: Part<Result>[] = []
      for (const part of partsOf(items, ITEMS_IN_TURN, takesLong)) {
        if (stopped.aborted) break
        parts.push(await sendPart(part, part.some(takesLong) ? stopped : undefined))
      }
      return parts
    }
  })
  filesChanged()
  const failures = [...parts.flatMap(({ result }) => result?.refused ?? []).map(failureOf), ...parts.flatMap(stoppedIn)]
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

function failureOf ({ name, code, locked = [] }: Outcome['refused'][number]): Failure {
  return { name, error: new PageError(titleOf(code), { locked }) }
}

/** The server may have done a part of these. */
function stoppedIn ({ items, result, error }: Part<unknown>): Failure[] {
  return result === undefined && error === undefined ? items.map(({ name }) => ({ name, error })) : []
}

function partsOf (items: readonly Item[], maxItems = MAX_ITEMS, isAlone = (_item: Item) => false): Item[][] {
  const parts: Item[][] = []
  let part: Item[] = []
  let bytes = 0
  for (const { name, id, state } of items) {
    const item = { name, ...id !== undefined && { id }, ...state !== undefined && { state } }
    // In UTF-8, a name has at most three bytes for each unit of its string; in JSON, control characters do not occur.
    const size = name.length * 3 + 140
    if (part.length === maxItems || bytes + size > MAX_BYTES || (part.length > 0 && [item, ...part].some(isAlone))) {
      parts.push(part)
      part = []
      bytes = 0
    }
    part.push(item)
    bytes += size
  }
  return [...parts, part]
}
