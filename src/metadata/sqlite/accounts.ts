import { and, asc, desc, eq, getTableColumns, gt, inArray, isNotNull, isNull, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../errors.ts'
import type { Metadata } from '../metadata.ts'
import type { Committer } from './committer.ts'
import { isUniqueViolation } from './failures.ts'
import { accounts, attempts, discardedBlobs, files, tokens } from './schema.ts'

type AccountActs = Pick<Metadata, 'addAccount' | 'findAccount' | 'findAccountByKey' | 'accountsAfter' | 'setPasswordHash' | 'setQuota' | 'setDisabled' | 'removeAccount' | 'removeRemains'>

/** Tokens that one commit ends: it takes a few milliseconds. */
const TOKEN_BATCH = 500

/** What is told of an account: all but whether it is gone, for those that are not are not told of. */
export const { removedAt: _removedAt, ...accountColumns } = getTableColumns(accounts)

export function createAccountActs (db: BetterSQLite3Database, committer: Committer): AccountActs {
  const { commit, read } = committer
  const isThere = isNull(accounts.removedAt)
  const byId = db.select(accountColumns).from(accounts).where(and(eq(accounts.id, sql.placeholder('id')), isThere)).prepare()
  const removed = db.select({ id: accounts.id }).from(accounts).where(isNotNull(accounts.removedAt)).limit(1).prepare()
  const byKey = db.select(accountColumns).from(accounts).where(and(eq(accounts.usernameKey, sql.placeholder('key')), isThere)).prepare()

  return {
    addAccount: (account, attempt) => commit(() => {
      try {
        if (attempt !== undefined) db.insert(attempts).values(attempt).run()
        return db.insert(accounts).values(account).returning(accountColumns).get()
      } catch (error) {
        if (isUniqueViolation(error)) throw new Problem('username_taken', { cause: error })
        throw error
      }
    }),

    findAccount: id => read(() => byId.get({ id })),

    findAccountByKey: key => read(() => byKey.get({ key })),

    accountsAfter: (afterId, limit) => read(() => db.select(accountColumns).from(accounts)
      .where(and(gt(accounts.id, afterId), isThere)).orderBy(asc(accounts.id)).limit(limit).all()),

    async setPasswordHash (id, passwordHash, { endsTokens, replaces }) {
      if (endsTokens) await removeAllTokens(db, committer, id)
      await commit(() => {
        const { changes } = db.update(accounts).set({ passwordHash })
          .where(and(eq(accounts.id, id), isThere, replaces === undefined ? undefined : eq(accounts.passwordHash, replaces))).run()
        if (changes === 0) throw new Problem('credentials_wrong')
        if (endsTokens) db.delete(tokens).where(eq(tokens.accountId, id)).run()
      })
    },

    setQuota: (id, { bytes, files }) => commit(() => { db.update(accounts).set({ quotaBytes: bytes, quotaFiles: files }).where(eq(accounts.id, id)).run() }),

    setDisabled: (id, at) => commit(() => { db.update(accounts).set({ disabledAt: at }).where(eq(accounts.id, id)).run() }),

    removeAccount: (id, at) => commit(() => {
      // A colon can't stand in a username: the key is nobody's, and the name is free.
      db.update(accounts).set({ removedAt: at, username: '', usernameKey: `removed:${id}`, passwordHash: '' }).where(eq(accounts.id, id)).run()
    }),

    async removeRemains (limit) {
      // Most sweeps find nobody, and a transaction for that would cost a sync.
      const gone = await read(() => removed.get())
      if (gone === undefined) return false
      await commit(() => { if (!removeTokens(db, gone.id, limit) && !removeFiles(gone.id, limit)) db.delete(accounts).where(eq(accounts.id, gone.id)).run() })
      return true
    }
  }

  function removeFiles (ownerId: number, limit: number): boolean {
    const batch = db.select({ id: files.id, blobId: files.blobId }).from(files).where(eq(files.ownerId, ownerId)).limit(limit).all()
    if (batch.length === 0) return false
    db.insert(discardedBlobs).values(batch.map(({ blobId }) => ({ blobId }))).run()
    db.delete(files).where(inArray(files.id, batch.map(({ id }) => id))).run()
    return true
  }
}

/** Ends every token of an account, in batches. */
export async function removeAllTokens (db: BetterSQLite3Database, { commit }: Committer, accountId: number): Promise<void> {
  while (await commit(() => removeTokens(db, accountId, TOKEN_BATCH)));
}

/** Whether there were any. With a token, what was issued for it goes too. */
function removeTokens (db: BetterSQLite3Database, accountId: number, limit: number): boolean {
  const batch = db.select({ id: tokens.id }).from(tokens).where(eq(tokens.accountId, accountId)).orderBy(desc(tokens.id)).limit(limit)
  return db.delete(tokens).where(inArray(tokens.id, batch)).run().changes > 0
}
