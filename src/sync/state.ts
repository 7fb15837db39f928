import { closeSync, openSync } from 'node:fs'
import { Database } from '../metadata/sqlite/driver.ts'
import type { BaseRow } from './plan.ts'
import type { Doing, State, StateChange, ServerEntry } from './ports.ts'
import { same } from './trees.ts'

/** What is known of a folder besides its trees. */
export interface FolderSettings {
  /** Of the server, without a folder. */
  readonly url: string
  readonly account: number
  /** The id of the server's folder; null for the root. */
  readonly rootId: string | null
  /** The path of that folder when it was seen last. */
  readonly rootPath: string
  /** The folder on this computer, and its inode. */
  readonly folder: string
  readonly inode: string
  readonly token: string
}

export interface OpenState extends State {
  readonly settings: FolderSettings | undefined
  configure (settings: FolderSettings): void
  close (): void
}

/** How long to wait for a run that ends just now. */
const LOCK_MILLISECONDS = 500

/** It is read once, from the beginning to the end. */
const CACHE_KIB = 2000

/** Each table has its keys, and JSON: it is read whole, and only by this process. */
const TABLES = ['base', 'mirror', 'doing', 'about'] as const

const BUSY = 'another run has this folder: wait for its end, or stop it'

/** Another process has the state open. */
export class StateBusy extends Error {}

/** The state can't be written. What is in memory may be ahead of it, so the run must end. */
export class StateLost extends Error {}

/**
 * Opens the state of a folder, or makes it. After a power cut it may be older than the folder, never newer: what is not
 * in it is found again. @throws {StateBusy}.
 */
export function openState (file: string): OpenState {
  // It has the token.
  closeSync(openSync(file, 'a', 0o600))
  const db = new Database(file, { timeout: LOCK_MILLISECONDS })
  try {
    // Held from the first statement on: one process has the folder.
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = NORMAL')
    db.pragma(`cache_size = -${CACHE_KIB}`)
    for (const table of TABLES) {
      db.exec(`CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`)
    }
    db.prepare('INSERT OR REPLACE INTO about VALUES (?, ?)').run('format', '1')
  } catch (error) {
    db.close()
    const { code, message } = error as { code?: string } & Error
    if (code === 'SQLITE_BUSY') throw new StateBusy(BUSY)
    throw new StateLost(`${file} can't be used (${message}): delete it to begin anew`, { cause: error })
  }
  const folders = new Map<string, string>()
  // Most strings are in several rows. They are kept once: 100,000 files take 35 MB less.
  const mirror = createTable<ServerEntry>('mirror', (id, entry) => {
    if (entry.parentId === null) return { ...entry, id }
    const parentId = same(folders.get(entry.parentId), entry.parentId)
    folders.set(parentId, parentId)
    return { ...entry, id, parentId }
  })
  const base = createTable<BaseRow>('base', (key, row) => {
    const stored = mirror.map.get(row.id)
    return { ...row, path: same(key, row.path), id: same(stored?.id, row.id), sha256: same(stored?.sha256, row.sha256) }
  })
  const doing = createTable<Doing>('doing')
  const about = createTable<unknown>('about')
  const tables = { base, mirror, doing }

  function createTable<T> (name: typeof TABLES[number], shared = (_: string, row: T) => row) {
    const set = db.prepare(`INSERT OR REPLACE INTO ${name} VALUES (?, ?)`)
    const remove = db.prepare(`DELETE FROM ${name} WHERE key = ?`)
    const clear = db.prepare(`DELETE FROM ${name}`)
    const map = new Map<string, T>()
    const rows = db.prepare<[], { key: string, value: string }>(`SELECT key, value FROM ${name}`).iterate()
    for (const { key, value } of rows) map.set(key, shared(key, JSON.parse(value) as T))
    return {
      map,
      change (entries: Iterable<readonly [string, T | undefined]> = []): void {
        for (const [key, value] of entries) {
          if (value === undefined) {
            map.delete(key)
            remove.run(key)
          } else {
            map.set(key, value)
            set.run(key, JSON.stringify(value))
          }
        }
      },
      clear (): void {
        map.clear()
        clear.run()
      }
    }
  }

  const write = db.transaction((change: StateChange) => {
    for (const name of change.clear ?? []) tables[name].clear()
    base.change(change.base)
    mirror.change(change.mirror)
    doing.change(change.doing)
    if (change.cursor !== undefined) about.change([['cursor', change.cursor]])
  })

  return {
    base: base.map,
    mirror: mirror.map,
    doing: doing.map,
    get cursor () { return about.map.get('cursor') as string | undefined },
    commit (change) {
      try {
        write.immediate(change)
      } catch (error) {
        throw new StateLost(`${file} can't be written: ${(error as Error).message}`, { cause: error })
      }
    },
    get settings () { return about.map.get('settings') as FolderSettings | undefined },
    configure: settings => about.change([['settings', settings]]),
    close () {
      db.pragma('wal_checkpoint(TRUNCATE)')
      db.close()
    }
  }
}
