import { eq, inArray, isNotNull } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import type { Discard } from './blobs.ts'
import type { Engine } from './engine.ts'
import { ask, type Db, type Query, reading, together, writing, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'
import type { TokenRemover } from './token-remover.ts'

interface PurgeOptions {
  readonly engine: Engine
  readonly tokenRemover: TokenRemover
  readonly discard: Discard
}

/** A deleted row, with its blob if it has one. That of an upload with a result belongs to a file. */
interface Removed { readonly id?: number, readonly blobId?: string, readonly result?: unknown }

/** Deletes what deleted accounts have left. */
export class AccountPurge {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #tokenRemover: TokenRemover
  readonly #discard: Discard

  constructor ({ engine, tokenRemover, discard }: PurgeOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#tokenRemover = tokenRemover
    this.#discard = discard
  }

  /** Deletes up to `limit` rows of one account; false if nothing is left to delete. */
  async removeSome (limit: number): Promise<boolean> {
    // Usually there is none, and a transaction would cost a sync or two more round trips.
    const [account] = await this.#engine.read(() => ask(this.#queries.anyRemoved))
    if (account === undefined) return false
    await this.#tokenRemover.thinOut(account.id)
    return this.#engine.transact(() => this.#purge(limit))
  }

  * #purge (limit: number): Rule<boolean> {
    const { accounts } = this.#engine.tables
    // Skips an account that another process is purging.
    const [locked] = yield * ask(this.#queries.lockRemoved)
    if (locked === undefined) return false
    for (const removal of removalsOf(this.#engine.tables, locked.id, limit)) {
      const removed = yield * ask(removal)
      if (removed.length > 0) return yield * this.#discardBlobs(removed)
    }
    yield * ask(writing('', db => db.delete(accounts).where(eq(accounts.id, locked.id))))
    return true
  }

  * #discardBlobs (removed: readonly Removed[]): Rule<true> {
    const blobIds = removed.filter(({ result = null }) => result === null).flatMap(({ blobId }) => blobId ?? [])
    yield * together(this.#discard(blobIds, yield * this.#engine.now()))
    return true
  }
}

function queriesOf ({ tables: { accounts }, skippingLocked }: Engine) {
  const removed = (db: Db) =>
    db.select({ id: accounts.id }).from(accounts).where(isNotNull(accounts.removedAt)).limit(1)
  return {
    anyRemoved: reading('removed_account', removed),
    lockRemoved: reading('lock_removed_account', db => skippingLocked(removed(db)))
  }
}

/** What deletes rows of an account, in this order. The account itself goes when all of them find none. */
function removalsOf (
  { changes, files, folders, kept, uploads }: Tables, ownerId: number, limit: number
): Query<Removed[]>[] {
  const some = (db: Db, table: PgTable & { readonly id: PgColumn, readonly ownerId: PgColumn }) =>
    inArray(table.id, db.select({ id: table.id }).from(table).where(eq(table.ownerId, ownerId)).limit(limit))
  return [
    writing('', db => db.delete(uploads).where(some(db, uploads))
      .returning({ blobId: uploads.blobId, result: uploads.result })),
    writing('', db => db.delete(files).where(some(db, files)).returning({ blobId: files.blobId })),
    writing('', db => db.delete(kept).where(some(db, kept)).returning({ blobId: kept.id })),
    writing('', db => db.delete(folders).where(some(db, folders)).returning({ id: folders.id })),
    writing('', db => db.delete(changes).where(some(db, changes)).returning({ id: changes.id }))
  ]
}
