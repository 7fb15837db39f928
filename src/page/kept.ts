import { folder } from './folder.ts'
import { createObjectStore } from './object-store.ts'

/**
 * What the page keeps of accounts, under keys that begin with its path, the username and the kind: the lists that it
 * shows without a network, and the files that wait for it. No token and no password is there.
 */
export const runKept = createObjectStore('magicstore kept', 'kept')

export type Kind = 'list' | 'file'

/** The keys that begin with the path of the page and `start`. IndexedDB sorts arrays behind all texts and numbers. */
export function keysOf (...start: string[]): IDBKeyRange {
  const first = [folder.pathname, ...start]
  return IDBKeyRange.bound(first, [...first, []])
}

/** Deletes what is kept of an account, all of it or one kind. */
export async function forget (username: string, ...kind: Kind[]): Promise<void> {
  await runKept('readwrite', kept => kept.delete(keysOf(username, ...kind))).catch(() => {})
}

/** How many files of an account wait for a network. */
export function countFiles (username: string): Promise<number> {
  const file: Kind = 'file'
  return runKept('readonly', kept => kept.count(keysOf(username, file))).catch(() => 0)
}
