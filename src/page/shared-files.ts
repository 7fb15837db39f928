import { createObjectStore } from './object-store.ts'

/**
 * Files that other apps shared with the installed page, by its address. The service worker stores them until a user has
 * decided what to do with them: perhaps nobody is signed in yet.
 */
const run = createObjectStore('magicstore shared files', 'files')

/** Files that the page has not loaded within this time are ignored. */
const KEPT_MS = 60 * 60 * 1000

interface Shared { readonly at: number, readonly files: readonly File[] }

/** Adds files to those that wait for the page at this address. */
export async function keepShared (address: string, files: readonly File[]): Promise<void> {
  const waiting = await loadShared(address)
  const shared: Shared = { at: Date.now(), files: [...waiting, ...files] }
  await run('readwrite', store => store.put(shared, address))
}

/** The files that wait. */
export async function loadShared (address: string): Promise<readonly File[]> {
  const shared = await run<Shared | undefined>('readonly', store => store.get(address))
  return shared !== undefined && Date.now() - shared.at < KEPT_MS ? shared.files : []
}

export async function forgetShared (address: string): Promise<void> {
  await run('readwrite', store => store.delete(address))
}
