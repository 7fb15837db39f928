import { and, eq, inArray, isNotNull } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import { createDiscard } from './blobs.ts'
import { type Db, pipeline, type Query, query } from './rule.ts'
import type { Tables } from './schema.ts'
import type { Services } from './services.ts'

/** A deleted row, with its blob if it has one. That of an upload with a result belongs to a file. */
interface RemovedRow { readonly id?: unknown, readonly blobId?: string, readonly result?: unknown }

/** What deletes up to `limit` rows that a deleted account has left; false if nothing is left to delete. */
export function createPurge ({ engine, tokenRemover }: Services) {
  // Asks for no sweep: it is part of one, and a stop would wait for the next ones until all is gone.
  const discard = createDiscard(engine, () => {})
  const { tables, read, transact, now, skippingLocked } = engine
  const { accounts } = tables
  const removed = (db: Db) =>
    db.select({ id: accounts.id }).from(accounts).where(isNotNull(accounts.removedAt)).limit(1)

  return async (limit: number): Promise<boolean> => {
    // Usually there is none, and a transaction would cost a sync or two more round trips.
    const [account] = await read(() => query(removed))
    if (account === undefined) return false
    await tokenRemover.removeInBatches(account.id)
    return transact(function * () {
      // Skips an account that another process is purging.
      const [locked] = yield * query(db => skippingLocked(removed(db)))
      if (locked === undefined) return false
      for (const removal of removalsOf(tables, locked.id, limit)) {
        const rows = yield * query(removal)
        if (rows.length === 0) continue
        const blobIds = rows.filter(({ result = null }) => result === null).flatMap(({ blobId }) => blobId ?? [])
        yield * pipeline(discard(blobIds, yield * now()))
        return true
      }
      yield * query(db => db.delete(accounts).where(eq(accounts.id, locked.id)))
      return true
    })
  }
}

/** What deletes rows of an account, in this order. The account itself goes when all of them find none. */
function removalsOf (
  { changes, deletions, files, folders, kept, pictures, uploads }: Tables, ownerId: number, limit: number
): Query<RemovedRow[]>[] {
  const isTheirs = ({ ownerId: owner }: Record<'ownerId', PgColumn>) => eq(owner, ownerId)
  const remove = (
    table: PgTable & Record<'id' | 'ownerId', PgColumn>, returned: Record<string, PgColumn>
  ) => (db: Db) => {
    const some = db.select({ id: table.id }).from(table).where(isTheirs(table)).limit(limit)
    return db.delete(table).where(inArray(table.id, some)).returning(returned)
  }
  const { sha256 } = pictures
  return [
    remove(uploads, { blobId: uploads.blobId, result: uploads.result }),
    remove(files, { blobId: files.blobId }),
    // A folder has no blob.
    remove(kept, { blobId: kept.id, result: kept.folder }),
    remove(deletions, { id: deletions.id }),
    db => db.delete(pictures).where(and(
      isTheirs(pictures), inArray(sha256, db.select({ sha256 }).from(pictures).where(isTheirs(pictures)).limit(limit))
    )).returning({ id: sha256 }),
    remove(folders, { id: folders.id }),
    remove(changes, { id: changes.id })
  ]
}
