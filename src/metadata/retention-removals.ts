import { asc, inArray } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { type Found, retentionQueries } from './retention-queries.ts'
import { query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** Deletes versions and trash of all accounts: a part of the contract of {@link Metadata}. */
export type RetentionRepository = ReturnType<typeof createRetentionRemovals>

export function createRetentionRemovals ({ engine, retention, retentionPolicy }: Services) {
  const queries = retentionQueries(engine, retentionPolicy)

  /** Locks accounts in the order of their ids, so that no two transactions wait for each other. Returns the ids. */
  const lockOwners = (ownerIds: readonly number[], lock = engine.locking) => {
    const { accounts } = engine.tables
    const ids = Array.from(new Set(ownerIds))
    return query(db => lock(db.select({ id: accounts.id }).from(accounts)
      .where(inArray(accounts.id, ids)).orderBy(asc(accounts.id))), locked => locked.map(({ id }) => id))
  }

  /** Deletes content that was found before its owners were locked, as far as it is still to be deleted. */
  function * removeStill (
    found: readonly Found[], findStill: typeof queries.stillExpired, lock?: Engine['locking']
  ): Rule<{ count: number, bytes: number }> {
    const owners = yield * lockOwners(found.map(({ ownerId }) => ownerId), lock)
    const still = yield * query(findStill(found, owners))
    return { count: still.length, bytes: yield * retention.remove(still.map(({ id }) => id), yield * engine.now()) }
  }

  return {
    /** Deletes up to `limit` kept contents of all owners that have expired; true if there may be more. */
    async removeExpired (limit: number): Promise<boolean> {
      // Usually there is none, and a write costs a sync.
      if ((await engine.read(() => query(queries.expired(1)))).length === 0) return false
      return engine.transact(function * () {
        const found = yield * query(queries.expired(limit))
        // Content of owners who are locked by others is left for the next time.
        return (yield * removeStill(found, queries.stillExpired, engine.skippingLocked)).count === limit
      })
    },

    /**
     * Deletes the longest-kept content of all owners, or of one, except empty content, until `bytes` or `limit` is
     * reached. Returns the deleted bytes; 0 if there was none.
     */
    removeOldest: (bytes: number, limit: number, ownerId?: number) => engine.transact(function * () {
      let missing = bytes
      const needed = (yield * query(queries.oldestOf(ownerId, limit))).filter(({ size }) => {
        const isNeeded = missing > 0
        missing -= size
        return isNeeded
      })
      return (yield * removeStill(needed, queries.stillOld)).bytes
    })
  }
}
