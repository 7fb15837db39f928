import { asc, eq, inArray, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { limitedTo } from './bounds.ts'
import type { Committer } from './committer.ts'
import { tokens } from './schema.ts'

/** Tokens that one commit removes: it takes a few milliseconds. */
const BATCH = 500

/** Removes all tokens of an account, also where they are too many for one commit. */
export interface TokenRemover {
  /** Removes the oldest tokens in commits of their own, until one batch is left. Most accounts never have more. */
  thinOut (accountId: number): Promise<void>
  /** Removes the rest inside an act, after `thinOut`. */
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
