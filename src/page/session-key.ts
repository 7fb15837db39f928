import { folder } from './folder.ts'
import { createObjectStore } from './object-store.ts'

/**
 * The keys of sessions, by the path of the page: several servers can share an origin. Browsers send the session cookie
 * to every port of the host, and let every port set it. IndexedDB belongs to one origin, which includes the port.
 */
const run = createObjectStore('magicstore', 'session keys')

/** A copy of the key for browsers that allow no storage: the session then ends with the window. */
let memory: string | undefined

/** The key of this browser's session; undefined if there is none. */
export async function loadKey (): Promise<string | undefined> {
  const stored = await run<string | undefined>('readonly', keys => keys.get(folder.pathname)).catch(() => undefined)
  return stored ?? memory
}

export async function saveKey (key: string): Promise<void> {
  memory = key
  await run('readwrite', keys => keys.put(key, folder.pathname)).catch(() => {})
}

export async function removeKey (): Promise<void> {
  memory = undefined
  await run('readwrite', keys => keys.delete(folder.pathname)).catch(() => {})
}
