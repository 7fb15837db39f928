import { folder } from '../folder.ts'
import { keysOf, runKept, type Kind } from '../kept.ts'
import type { NamedFile } from '../uploads/names.ts'

const KIND: Kind = 'file'

/** Sorted by the time at which they were kept. */
export type FileKey = IDBValidKey

let count = 0

/** The key of another file, behind all that exist. */
export function createKey (username: string): FileKey {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1))
  return [folder.pathname, username, KIND, Date.now(), ++count, random]
}

/** Keeps a file that waits for a network. Rejects with a DOMException if the browser has no room for it. */
export async function keepFile (key: FileKey, named: NamedFile): Promise<void> {
  await runKept('readwrite', kept => kept.put(named, key))
}

export function keysOfFiles (username: string): Promise<FileKey[]> {
  return runKept('readonly', kept => kept.getAllKeys(keysOf(username, KIND)))
}

export function loadFile (key: FileKey): Promise<NamedFile | undefined> {
  return runKept<NamedFile | undefined>('readonly', kept => kept.get(key))
}

export async function dropFile (key: FileKey): Promise<void> {
  await runKept('readwrite', kept => kept.delete(key))
}

/**
 * Locks a file, so that only one window sends it. Returns a function that releases it; undefined if another window
 * holds it. Pages that were not loaded over TLS or from this machine have no locks.
 */
export function holdFile (key: FileKey): Promise<(() => void) | undefined> {
  const locks = navigator.locks as LockManager | undefined
  if (locks === undefined) return Promise.resolve(() => {})
  return new Promise((resolve, reject) => {
    // The lock is held until the promise that this returns resolves.
    const keep = (lock: Lock | null) => lock === null ? resolve(undefined) : heldUntil(resolve)
    locks.request(`unsent ${JSON.stringify(key)}`, { ifAvailable: true }, keep).catch(reject)
  })
}

function heldUntil (take: (release: () => void) => void): Promise<void> {
  return new Promise(resolve => { take(resolve) })
}
