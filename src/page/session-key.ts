import { folder } from './folder.ts'

/*
 * The key of the session. Browsers send the cookie of the session to every port of the host, and let every port set it.
 * IndexedDB belongs to this origin only, which includes the port.
 */

const DATABASE = 'magicstore'

const STORE = 'session keys'

/** The key in memory, where the browser allows no storage: the session then ends with the window. */
let kept: string | undefined

/** The key of this browser's session; undefined if there is none. */
export async function loadKey (): Promise<string | undefined> {
  const stored: string | undefined = await withKeys('readonly', keys => keys.get(folder.pathname))
  return stored ?? kept
}

export async function saveKey (key: string): Promise<void> {
  kept = key
  await withKeys('readwrite', keys => keys.put(key, folder.pathname))
}

export async function removeKey (): Promise<void> {
  kept = undefined
  await withKeys('readwrite', keys => keys.delete(folder.pathname))
}

/** Runs a request, and waits until its result is stored. Undefined if the browser allows no storage. */
async function withKeys<Result> (
  mode: IDBTransactionMode, ask: (keys: IDBObjectStore) => IDBRequest<Result>
): Promise<Result | undefined> {
  try {
    const database = await open()
    // Closes when the transaction has ended.
    const transaction = database.transaction(STORE, mode)
    database.close()
    const request = ask(transaction.objectStore(STORE))
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve
      transaction.onabort = reject
    })
    return request.result
  } catch {
    return undefined
  }
}

function open (): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE)
  return new Promise((resolve, reject) => {
    // Several servers can share an origin: the path of the page is the key of a record.
    request.onupgradeneeded = () => { request.result.createObjectStore(STORE) }
    request.onsuccess = () => resolve(request.result)
    request.onerror = reject
  })
}
