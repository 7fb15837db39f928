import type { AccountRecord } from './records.ts'

/** Locks of one account at most. */
export const MAX_LOCKS = 1000

/** Locks that one file or folder has at most, with those of folders above: each is told with it in a listing. */
export const MAX_LOCKS_PER_PATH = 100

/** An account, as of when it was read. */
export type LockOwner = Pick<AccountRecord, 'id' | 'lockedUntil'>

/** A write lock of a file or folder (RFC 4918 section 6). */
export interface NewLock {
  /** `urn:uuid:` and a random UUID. */
  readonly token: string
  /** Of the file or folder that was locked, the lock root. */
  readonly path: string
  /** Whether it also locks all that is or comes below. */
  readonly isDeep: boolean
  /** Whether nobody else can have a lock; otherwise others can have shared ones. */
  readonly isExclusive: boolean
  /** The element `DAV:owner` as XML; null without one. */
  readonly owner: string | null
  /** How long it lasts. */
  readonly seconds: number
}

export interface LockRecord extends NewLock {
  /** Whether the lock root is a folder. */
  readonly isFolder: boolean
  readonly expiresAt: number
}
