/*
 * Files that other apps shared with the installed page. The service worker gets them and stores them here, until a user
 * of the page has decided about them: perhaps nobody is signed in yet.
 */

const DATABASE = 'magicstore shared files'

const STORE = 'files'

/** Files that nobody asked for within this time are forgotten. */
const KEPT_MS = 60 * 60 * 1000

interface Shared { readonly at: number, readonly files: readonly File[] }

/** Stores files for the page at this address. Those that wait already stay. */
export async function keepShared (address: string, files: readonly File[]): Promise<void> {
  const waiting = await loadShared(address)
  await withFiles('readwrite', store => store.put({ at: Date.now(), files: [...waiting, ...files] } satisfies Shared, address))
}

/** The files that wait. */
export async function loadShared (address: string): Promise<readonly File[]> {
  const shared = await withFiles<Shared | undefined>('readonly', store => store.get(address))
  return shared !== undefined && Date.now() - shared.at < KEPT_MS ? shared.files : []
}

export async function forgetShared (address: string): Promise<void> {
  await withFiles('readwrite', store => store.delete(address))
}

async function withFiles<Result> (
  mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<Result>
): Promise<Result> {
  const database = await open()
  // Closes when the transaction has ended.
  const transaction = database.transaction(STORE, mode)
  database.close()
  const request = ask(transaction.objectStore(STORE))
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result)
    transaction.onabort = () => reject(transaction.error)
  })
}

function open (): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE)
  return new Promise((resolve, reject) => {
    request.onupgradeneeded = () => { request.result.createObjectStore(STORE) }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
