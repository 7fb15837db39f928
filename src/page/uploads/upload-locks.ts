import { folder } from '../folder.ts'
import { session, usernameOf } from '../session-state.ts'
import { keyOf } from './names.ts'

/*
 * On the server, a new upload ends an unfinished one of the same name, and a request for an upload takes it over from
 * an earlier request. A window therefore locks a name while it sends. Without a lock, two windows could interrupt each
 * other for ever. Pages that were not loaded over TLS or from this machine have no locks.
 */

/** The names that windows of this browser are sending. */
export async function heldNames (): Promise<Set<string>> {
  const { held = [] } = await lockManager()?.query() ?? {}
  const prefix = lockName('')
  return new Set(held.flatMap(({ name }) => name?.startsWith(prefix) === true ? [name.slice(prefix.length)] : []))
}

/** Locks a name. Returns a function that releases it; undefined if another window holds it. */
export async function hold (name: string): Promise<(() => void) | undefined> {
  const locks = lockManager()
  if (locks === undefined) return () => {}
  return new Promise((resolve, reject) => {
    // The lock is held until the promise that this returns resolves.
    const keep = (lock: Lock | null) => lock === null ? resolve(undefined) : heldUntil(resolve)
    locks.request(lockName(name), { ifAvailable: true }, keep).catch(reject)
  })
}

function heldUntil (take: (release: () => void) => void): Promise<void> {
  return new Promise(resolve => { take(resolve) })
}

function lockName (name: string): string {
  return `uploads ${folder.pathname} ${usernameOf(session.peek())} ${keyOf(name)}`
}

function lockManager (): LockManager | undefined {
  return navigator.locks as LockManager | undefined
}
