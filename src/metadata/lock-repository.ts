import type { Conditions, StateList } from './conditions.ts'
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

/**
 * Locks by owner and path: a part of the contract of {@link Metadata}. A lock that has expired is not found and refuses
 * nothing. A lock ends with the file or folder that is its root, and when that is moved or overwritten.
 *
 * Every write refuses a change under a lock with `file_locked`, unless its conditions have a token of it: of the file
 * or folder that it changes, adds or removes, of all below one that it removes or moves, and of the folder in which a
 * name is added or removed. The member `locked` of the problem has the lock roots.
 */
export interface LockRepository {
  /** The locks whose root is one of these paths, or a folder above one. None is sought of an account without locks. */
  listFor (owner: LockOwner, paths: readonly string[]): Promise<LockRecord[]>
  /** @throws precondition_failed unless one of the lists holds. For what changes no file. */
  judge (ownerId: number, lists: readonly StateList[]): Promise<void>
  /**
   * Locks a file or folder that exists. For a free name: `files.put` with a lock.
   * @throws not_found, precondition_failed, file_locked if another lock is in the way; too_many_locks if the account
   * has {@link MAX_LOCKS}, or {@link MAX_LOCKS_PER_PATH} lock this path or, for a deep lock, something below.
   */
  add (ownerId: number, lock: NewLock, conditions: Conditions): Promise<LockRecord>
  /**
   * Restarts a lock of this path, or of a folder above, whose token is in the conditions.
   * @throws precondition_failed if there is none, or the lists do not hold.
   */
  refresh (ownerId: number, path: string, seconds: number, conditions: Conditions): Promise<LockRecord>
  /**
   * Ends a lock of this path, or of a folder above.
   * @throws precondition_failed if the lists do not hold, lock_token_mismatch if there is none with this token.
   */
  remove (ownerId: number, path: string, token: string, conditions?: Conditions): Promise<void>
  /** Ends the locks whose root is this path. @throws not_found if there is none. */
  break (ownerId: number, path: string): Promise<void>
  /** Deletes up to `limit` locks of all owners that have expired; true if there may be more. */
  removeExpired (limit: number): Promise<boolean>
}
