/** Runs one request on an object store. Resolves when its transaction has completed. */
export type RunRequest = <Result> (
  mode: IDBTransactionMode, send: (store: IDBObjectStore) => IDBRequest<Result>
) => Promise<Result>

/** Opens a database of IndexedDB with one object store at each request. Rejects if the browser allows no storage. */
export function createObjectStore (database: string, name: string): RunRequest {
  return async (mode, send) => {
    const opened = await open(database, name)
    const transaction = opened.transaction(name, mode)
    // Takes effect after the transaction.
    opened.close()
    const request = send(transaction.objectStore(name))
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result)
      transaction.onabort = () => reject(transaction.error)
    })
  }
}

function open (database: string, name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(database)
  return new Promise((resolve, reject) => {
    request.onupgradeneeded = () => { request.result.createObjectStore(name) }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
