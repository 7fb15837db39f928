import { folder } from '../folder.ts'
import type { Entry } from '../files/entries.ts'
import { keysOf, runKept, type Kind } from '../kept.ts'
import { loadKey } from '../session-key.ts'

/** The folders that are kept, and how many are left when there are more: what was visited last. */
const MAX_FOLDERS = 50
const LEFT_FOLDERS = 40

/** The entries of a folder that are kept: its first ones. */
const MAX_ENTRIES = 500

const KIND: Kind = 'list'

/** What a folder contained when it was last visited. */
export interface KeptList { readonly folder: string, readonly at: number, readonly entries: readonly Entry[] }

/** Keeps the list of a folder, in place of an earlier one. */
export async function keepList (username: string, name: string, entries: readonly Entry[]): Promise<KeptList> {
  const list: KeptList = { folder: name, at: Date.now(), entries: entries.slice(0, MAX_ENTRIES) }
  await runKept('readwrite', kept => kept.put(list, keyOf(username, name)))
  if (await runKept('readonly', kept => kept.count(keysOf(username, KIND))) > MAX_FOLDERS) await dropOldest(username)
  return list
}

export function loadLists (username: string): Promise<KeptList[]> {
  return runKept<KeptList[]>('readonly', kept => kept.getAll(keysOf(username, KIND)))
}

/**
 * The account whose lists can be shown: that of the session of this browser, which may have ended on the server.
 * Undefined if there is none, as after signing out.
 */
export async function keptAccount (): Promise<string | undefined> {
  if (await loadKey() === undefined) return undefined
  return (await usernames())[0]
}

/** Deletes the lists of all accounts but one, or of all. */
export async function forgetLists (except?: string): Promise<void> {
  for (const username of await usernames()) {
    if (username !== except) await runKept('readwrite', kept => kept.delete(keysOf(username, KIND)))
  }
}

async function usernames (): Promise<string[]> {
  const keys = await runKept('readonly', kept => kept.getAllKeys(keysOf())) as string[][]
  return [...new Set(keys.filter(([, , kind]) => kind === KIND).map(([, username = '']) => username))]
}

async function dropOldest (username: string): Promise<void> {
  const lists = (await loadLists(username)).sort((a, b) => b.at - a.at)
  for (const { folder: name } of lists.slice(LEFT_FOLDERS)) {
    await runKept('readwrite', kept => kept.delete(keyOf(username, name)))
  }
}

function keyOf (username: string, name: string): IDBValidKey {
  return [folder.pathname, username, KIND, name]
}
