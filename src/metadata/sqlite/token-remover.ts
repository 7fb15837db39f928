import { asc, eq, inArray, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { Committer } from './committer.ts'
import { limitedTo } from './paging.ts'
import { tokens } from './schema.ts'

/** Tokens deleted in one commit, which takes a few milliseconds. */
const BATCH = 500

/** Deletes all tokens of an account, even if they are too many for one commit. */
export interface TokenRemover {
  /** Deletes the oldest tokens in commits of their own until at most one batch is left. Most accounts never have more. */
  thinOut (accountId: number): Promise<void>
  /** Deletes the rest inside the current transaction, after `thinOut`. */
  remove (accountId: number): void
}

export function createTokenRemover (db: BetterSQLite3Database, { commit, read }: Committer): TokenRemover {
  const beyondBatch = db.select({ id: tokens.id }).from(tokens).where(eq(tokens.accountId, sql.placeholder('accountId')))
    .orderBy(limitedTo(asc(tokens.id), 1, BATCH)).prepare()

  function removeOldest (accountId: number): void {
    const oldest = db.select({ id: tokens.id }).from(tokens).where(eq(tokens.accountId, accountId)).orderBy(asc(tokens.id)).limit(BATCH)
    db.delete(tokens).where(inArray(tokens.id, oldest)).run()
  }

  return {
    async thinOut (accountId) {
      while (await read(() => beyondBatch.get({ accountId })) !== undefined) await commit(() => removeOldest(accountId))
    },
    remove: accountId => { db.delete(tokens).where(eq(tokens.accountId, accountId)).run() }
  }
}
