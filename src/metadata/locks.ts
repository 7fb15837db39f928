import { eq, inArray, lte } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Conditions, StateList } from './conditions.ts'
import { covers, targetsOf, UNKNOWN_TIME } from './lock-guard.ts'
import type { LockOwner, LockRecord, NewLock } from './lock-records.ts'
import type { OwnerContext } from './methods.ts'
import { pipeline, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/**
 * Locks by owner and path: a part of the contract of {@link Metadata}. A lock that has expired is not found and refuses
 * nothing. A lock ends with the file or folder that is its root, and when that is moved or overwritten.
 *
 * Every write refuses a change under a lock with `file_locked`, unless its conditions have a token of it: of the file
 * or folder that it changes, adds or removes, of all below one that it removes or moves, and of the folder in which a
 * name is added or removed. The member `locked` of the problem has the lock roots.
 */
export type LockRepository = ReturnType<typeof createLocks>

export function createLocks ({ engine, owners, tree, contents, guard, read, write, ownerWrite, removeSome }: Services) {
  const { locks } = engine.tables

  function * drop (ownerId: number, dropped: readonly LockRecord[]): Rule<void> {
    const tokens = dropped.map(({ token }) => token)
    yield * pipeline(
      query(db => db.delete(locks).where(inArray(locks.token, tokens))), guard.updateLockedUntil(ownerId)
    )
  }

  /** The lock of this path, or of a folder above, that has one of these tokens. @throws `refusal` if there is none. */
  function * getOwn (
    context: OwnerContext, path: string,
    { tokens, refusal }: { tokens: readonly string[], refusal: 'precondition_failed' | 'lock_token_mismatch' }
  ): Rule<LockRecord> {
    const locks = yield * guard.find(context, targetsOf(path))
    const own = locks.find(lock => tokens.includes(lock.token) && covers(lock, path))
    if (own === undefined) throw new Problem(refusal)
    return own
  }

  return {
    /** The locks whose root is one of these paths, or a folder above one. Of an account without locks, none is read. */
    listFor: read((owner: LockOwner, paths: readonly string[]) =>
      guard.find({ owner, time: UNKNOWN_TIME }, targetsOf(...paths))),

    /** @throws precondition_failed unless one of the lists holds. For what changes no file. */
    judge: read((ownerId: number, lists: readonly StateList[]) =>
      guard.admit({ owner: { id: ownerId, lockedUntil: Infinity }, time: UNKNOWN_TIME }, { lists })),

    /**
     * Locks a file or folder that exists. For a free name: `files.put` with a lock.
     * @throws not_found, precondition_failed, file_locked if another lock is in the way; too_many_locks if the account
     * has `MAX_LOCKS`, or `MAX_LOCKS_PER_PATH` lock this path or, for a deep lock, something below.
     */
    add: write(function * (ownerId, lock: NewLock, conditions: Conditions) {
      const [owner, current, folder, time] = yield * pipeline(
        owners.lock(ownerId), contents.find(ownerId, lock.path), tree.find(ownerId, lock.path), engine.now()
      )
      if (current === undefined && folder === undefined) throw new Problem('not_found')
      yield * guard.admit({ owner, time, current }, conditions)
      return yield * guard.add({ owner, time }, lock, folder !== undefined)
    }),

    /**
     * Restarts a lock of this path, or of a folder above, whose token is in the conditions.
     * @throws precondition_failed if there is none, or the lists do not hold.
     */
    refresh: ownerWrite(function * (context, path: string, seconds: number, conditions: Conditions) {
      const { tokens = [] } = conditions
      yield * guard.admit(context, conditions)
      const lock = yield * getOwn(context, path, { tokens, refusal: 'precondition_failed' })
      const expiresAt = context.time + seconds * 1000
      yield * pipeline(
        query(db => db.update(locks).set({ seconds, expiresAt }).where(eq(locks.token, lock.token))),
        guard.updateLockedUntil(context.owner.id)
      )
      return { ...lock, seconds, expiresAt }
    }),

    /**
     * Ends a lock of this path, or of a folder above.
     * @throws precondition_failed if the lists do not hold, lock_token_mismatch if there is none with this token.
     */
    remove: ownerWrite(function * (context, path: string, token: string, { lists }: Conditions = {}) {
      yield * guard.admit(context, { lists })
      const own = yield * getOwn(context, path, { tokens: [token], refusal: 'lock_token_mismatch' })
      yield * drop(context.owner.id, [own])
    }),

    /** Ends the locks whose root is this path. @throws not_found if there is none. */
    break: ownerWrite(function * (context, path: string) {
      const rooted = (yield * guard.find(context, targetsOf(path))).filter(lock => lock.path === path)
      if (rooted.length === 0) throw new Problem('not_found')
      yield * drop(context.owner.id, rooted)
    }),

    /** Deletes up to `limit` locks of all owners that have expired; true if there may be more. */
    removeExpired: (limit: number): Promise<boolean> =>
      removeSome(locks, locks.token, { matching: lte(locks.expiresAt, engine.clock), limit })
  }
}
