import { LRUCache } from 'lru-cache'
import type { Committer } from './committer.ts'

/** Rows that are remembered at the most; a token with its person takes about a kilobyte. */
const MAX_ROWS = 4096

/** Gives what `look` finds for a key, or what it found before where nothing at all has changed in the database since. */
export type RowCache<K extends string | number, V extends object> = (key: K, look: () => V | undefined) => V | undefined

/**
 * Remembers rows for as long as the database is the same, which the version of `committer` tells. To ask for that takes a
 * microsecond or two, to look a token up through Drizzle 15.
 */
export function createRowCache<K extends string | number, V extends object> (committer: Pick<Committer, 'version'>): RowCache<K, V> {
  const rows = new LRUCache<K, V>({ max: MAX_ROWS })
  let version = committer.version

  return (key, look) => {
    // Before the look: a row that changes between the two is forgotten the next time.
    const now = committer.version
    if (now !== version) rows.clear()
    version = now
    const known = rows.get(key)
    if (known !== undefined) return known
    const found = look()
    if (found !== undefined) rows.set(key, found)
    return found
  }
}
