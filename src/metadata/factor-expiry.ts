import { inArray, lte } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Engine } from './engine.ts'
import { type Db, query } from './rule.ts'

/** Deletes up to `limit` rows of each table of second factors that have expired; true if there may be more. */
export function createExpiryRemover (engine: Engine): (limit: number) => Promise<boolean> {
  const { tables: { oneTimeSecrets, usedChallenges }, read, apply } = engine
  const removals = [
    removalOf(engine, oneTimeSecrets, oneTimeSecrets.hash),
    removalOf(engine, usedChallenges, usedChallenges.id)
  ]
  return async limit => {
    let isMore = false
    for (const { find, remove } of removals) {
      // Usually there is none, and a write costs a sync.
      if ((await read(() => query(find(1)))).length === 0) continue
      const removed = await apply(() => query(remove(limit), {}, rows => rows.length))
      isMore ||= removed === limit
    }
    return isMore
  }
}

type Expiring = Engine['tables']['oneTimeSecrets' | 'usedChallenges']

function removalOf ({ clock, skippingLocked }: Engine, table: Expiring, key: PgColumn) {
  const expired = (db: Db, limit: number) =>
    db.select({ key }).from(table).where(lte(table.expiresAt, clock)).limit(limit)
  return {
    find: (limit: number) => (db: Db) => expired(db, limit),
    // Those that another process is deleting are left to it.
    remove: (limit: number) => (db: Db) => db.delete(table)
      .where(inArray(key, skippingLocked(expired(db, limit)) as never)).returning({ key })
  }
}
