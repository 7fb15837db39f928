import pLimit from 'p-limit'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Engine } from './engine.ts'
import { fold, sortKeyOf } from './paths.ts'
import type { FilePosition } from './records.ts'
import type { Rule } from './rule.ts'

/** Names that a request searches at most: 0.1 s. */
const MAX_NAMES = 100_000

/** Names that are read at a time. SQLite takes 1 to 8 ms for them, in which the process does nothing else. */
export const CHUNK_NAMES = 2000

/** What was found, and where a page ends that ends with it. */
export interface Hit<Entry> { readonly entry: Entry, readonly position: FilePosition }

/** What was found among some names: `searched` of them, up to `end`. */
export interface Chunk<Entry> {
  readonly found: readonly Hit<Entry>[]
  readonly searched: number
  readonly end: FilePosition
}

/** What an order with one page sorts by: a number, or the bytes of a text. */
export interface Ranking<Entry> {
  readonly rankOf: (entry: Entry) => number | Buffer
  readonly isAscending: boolean
}

interface Gathered<Entry> {
  readonly entries: readonly Entry[]
  readonly searched: number
  readonly next: FilePosition | undefined
}

export type SearchTurns = ReturnType<typeof createSearchTurns>

/** Keeps searches from slowing down other requests. */
export function createSearchTurns (engine: Engine) {
  // One query at a time, in a turn of the event loop of its own: other requests and other searches come between.
  const inTurn = pLimit(1)
  /** The end of the latest search of each account. */
  const latest = new Map<number, Promise<unknown>>()

  return {
    read: <Rows>(rule: Rule<Rows>): Promise<Rows> => inTurn(() => nextTurn().then(() => engine.read(() => rule))),

    /** Searches of one account run one after another, so that many at once slow down none of another account. */
    async search<T> (ownerId: number, start: () => Promise<T>): Promise<T> {
      const found = Promise.resolve(latest.get(ownerId)).then(start)
      const end = found.catch(() => {})
      latest.set(ownerId, end)
      await end
      if (latest.get(ownerId) === end) latest.delete(ownerId)
      return found
    }
  }
}

/** Whether a name contains all texts, whatever the case and accents. False for a text of accents alone. */
export function matcherOf (texts: readonly string[]): (name: string) => boolean {
  const folded = texts.map(fold)
  if (folded.includes('')) return () => false
  return name => {
    const text = fold(name)
    return folded.every(part => text.includes(part))
  }
}

/** What a name sorts by as people sort names; the name decides between equal keys. */
export function naturalRank (name: string): Buffer {
  return Buffer.from(`${sortKeyOf(name)}\0${name}`)
}

/** Gathers what is found in the order of the chunks. */
export async function firstOf<Entry> (chunks: AsyncIterable<Chunk<Entry>>, limit: number): Promise<Gathered<Entry>> {
  const found: Hit<Entry>[] = []
  let next: FilePosition | undefined
  let searched = 0
  for await (const chunk of chunks) {
    found.push(...chunk.found)
    searched += chunk.searched
    if (isEnough(searched)) next = chunk.end
    if (found.length > limit) next = found[limit - 1]?.position
    if (next !== undefined) break
  }
  return { entries: found.slice(0, limit).map(({ entry }) => entry), searched, next }
}

/** Gathers the best in another order. A page after this one would read the same names again. */
export async function bestOf<Entry extends { readonly id: number }> (
  chunks: AsyncIterable<Chunk<Entry>>, limit: number, { rankOf, isAscending }: Ranking<Entry>
): Promise<Gathered<Entry>> {
  const sign = isAscending ? 1 : -1
  let best: { readonly rank: number | Buffer, readonly entry: Entry }[] = []
  let searched = 0
  for await (const { found, searched: names } of chunks) {
    const more = found.map(({ entry }) => ({ entry, rank: rankOf(entry) }))
    best = [...best, ...more]
      .sort((a, b) => sign * (compareRanks(a.rank, b.rank) || a.entry.id - b.entry.id)).slice(0, limit)
    searched += names
    if (isEnough(searched)) break
  }
  return { entries: best.map(({ entry }) => entry), searched, next: undefined }
}

function compareRanks (a: number | Buffer, b: number | Buffer): number {
  return Buffer.isBuffer(a) ? Buffer.compare(a, b as Buffer) : a - Number(b)
}

/** Whether the next names could be too many. */
function isEnough (searched: number): boolean {
  return searched > MAX_NAMES - CHUNK_NAMES
}
