import type { SQL } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import type { Engine } from './engine.ts'
import type { Owner, Owners } from './owners.ts'
import { type Db, isAny, pipeline, query, type Rule } from './rule.ts'

/** An account whose row is locked, and the time after any wait for it. */
export interface OwnerContext { readonly owner: Owner, readonly time: number }

/** An engine that calls an observer after each commit of a rule that called `noteRemoval`, and what belongs to it. */
export function watchRemovals (unwatched: Engine) {
  let notify = () => {}
  let marks = 0

  /** May call once too often: also for a mark of another transaction, which calls by itself. */
  async function watched<T> (transaction: () => Promise<T>): Promise<T> {
    const before = marks
    const result = await transaction()
    if (marks !== before) notify()
    return result
  }

  const engine: Engine = {
    ...unwatched,
    transact: rule => watched(() => unwatched.transact(rule)),
    transactFor: (...values) => watched(() => unwatched.transactFor(...values))
  }
  return {
    engine,
    noteRemoval: () => { marks++ },
    notify: () => notify(),
    watchRemovals: (observer: () => void) => { notify = observer }
  }
}

/** Makes methods of repositories from rules. Parameters and result are those of the rule. */
export function createMethods (engine: Engine, owners: Owners) {
  return {
    /** For a rule that changes nothing. */
    read: <Parameters extends unknown[], T>(rule: (...values: Parameters) => Rule<T>) =>
      (...values: Parameters): Promise<T> => engine.read(() => rule(...values)),

    /** Deletes up to `limit` rows that match; true if there may be more. */
    removeSome: async (
      table: PgTable, key: PgColumn, { matching, limit }: { matching: SQL | undefined, limit: number }
    ): Promise<boolean> => {
      const some = (db: Db, limit: number) => db.select({ key }).from(table).where(matching).limit(limit)
      // Usually there is none, and a write costs a sync.
      if (!await engine.read(() => query(db => some(db, 1), isAny))) return false
      // Those that another process is deleting are left to it.
      return engine.apply(() => query(
        db => db.delete(table).where(engine.isUnlockedIn(key, some(db, limit))).returning({ key }),
        removed => removed.length === limit
      ))
    },

    /** For a rule that changes what an account owns, and locks it with its first queries. */
    write: <Parameters extends unknown[], T>(rule: (ownerId: number, ...values: Parameters) => Rule<T>) =>
      (ownerId: number, ...values: Parameters): Promise<T> =>
        engine.transactFor(ownerId, () => rule(ownerId, ...values)),

    /** The same, but the account is locked before the rule begins. @throws not_found if it was deleted. */
    ownerWrite: <Parameters extends unknown[], T>(rule: (context: OwnerContext, ...values: Parameters) => Rule<T>) =>
      (ownerId: number, ...values: Parameters): Promise<T> => engine.transactFor(ownerId, function * () {
        const [owner, time] = yield * pipeline(owners.lock(ownerId), engine.now())
        return yield * rule({ owner, time }, ...values)
      })
  }
}
