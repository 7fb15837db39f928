import type { Committer } from './committer.ts'

/** When so many rows are cached, the cache is emptied; a row takes about a kilobyte. */
const MAX_CACHED_ROWS = 4096

/** Returns the cached row for a key, or else the result of `find`, which it then caches. Use it inside `read`. */
export type RowCache<Row> = (key: number | string, find: () => Row | undefined) => Row | undefined

/**
 * Caches rows until anything in the database changes, which `committer.version` tells. Finding a token through Drizzle takes
 * 15 µs, and a file 6.
 */
export function createRowCache<Row> (committer: Pick<Committer, 'version'>): RowCache<Row> {
  const rows = new Map<number | string, Row>()
  let cachedVersion = committer.version

  return (key, find) => {
    // Read before `find`: if the row changes between the two, the next call empties the cache.
    const { version } = committer
    if (version !== cachedVersion || rows.size === MAX_CACHED_ROWS) rows.clear()
    cachedVersion = version
    const cached = rows.get(key)
    if (cached !== undefined) return cached
    const found = find()
    if (found !== undefined) rows.set(key, found)
    return found
  }
}
