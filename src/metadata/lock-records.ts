import type { AccountRecord } from './records.ts'
import type { RowOf } from './schema.ts'

/** Locks of one account at most. */
export const MAX_LOCKS = 1000

/** Locks that one file or folder has at most, with those of folders above, because a listing prints all of them. */
export const MAX_LOCKS_PER_PATH = 100

/** An account, as of when it was read. */
export type LockOwner = Pick<AccountRecord, 'id' | 'lockedUntil'>

/** A write lock of a file or folder (RFC 4918 section 6). */
export type LockRecord = Omit<RowOf<'locks'>, 'ownerId'>

export type NewLock = Omit<LockRecord, 'isFolder' | 'expiresAt'>
