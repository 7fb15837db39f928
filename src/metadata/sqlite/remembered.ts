import type Database from 'better-sqlite3'
import { LRUCache } from 'lru-cache'
import type { Committer } from './committer.ts'

/** Rows that are remembered at the most; a token with its person takes about a kilobyte. */
const MAX_REMEMBERED = 4096

/** Gives what `look` finds for a key, or what it found before where nothing at all has changed in the database since. */
export type Remembered<K extends string | number, V extends object> = (key: K, look: () => V | undefined) => V | undefined

/**
 * Remembers rows for as long as the database is the same: every change by this connection goes through its committer, and
 * of any other, in this process or not, SQLite knows (`PRAGMA data_version`). To ask it takes a microsecond or two, to look
 * a token up through Drizzle 15.
 */
export function rememberRows<K extends string | number, V extends object> (client: Database.Database, committer: Pick<Committer, 'begun'>): Remembered<K, V> {
  const dataVersion = client.prepare<[], number>('PRAGMA data_version').pluck()
  const rows = new LRUCache<K, V>({ max: MAX_REMEMBERED })
  let [own, other] = [committer.begun, dataVersion.get()]

  function forgetOutdated (): void {
    const [ownNow, otherNow] = [committer.begun, dataVersion.get()]
    if (ownNow !== own || otherNow !== other) rows.clear()
    own = ownNow
    other = otherNow
  }

  return (key, look) => {
    // Before the look: a row that changes between the two is forgotten the next time.
    forgetOutdated()
    const known = rows.get(key)
    if (known !== undefined) return known
    const found = look()
    if (found !== undefined) rows.set(key, found)
    return found
  }
}
