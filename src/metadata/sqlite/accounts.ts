import { and, asc, eq, getTableColumns, gt, inArray, isNotNull, isNull, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import type { Committer } from './committer.ts'
import { isUniqueViolation } from './failures.ts'
import { accounts, attempts, discardedBlobs, files } from './schema.ts'
import { createTokenRemover } from './token-remover.ts'

type AccountRepository = Pick<Metadata, 'addAccount' | 'findAccount' | 'findAccountByKey' | 'accountsAfter' | 'setPasswordHash' | 'setQuota' | 'setDisabled' | 'removeAccount' | 'purgeDeletedAccounts'>

/** What is told of an account: all but whether it is gone, for those that are not are not told of. */
export const { removedAt: _removedAt, ...accountColumns } = getTableColumns(accounts)

export function createAccountRepository (db: BetterSQLite3Database, committer: Committer): AccountRepository {
  const { commit, read } = committer
  const tokenRemover = createTokenRemover(db, committer)
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
      if (endsTokens) await tokenRemover.thinOut(id)
      await commit(() => {
        const { changes } = db.update(accounts).set({ passwordHash })
          .where(and(eq(accounts.id, id), isThere, replaces === undefined ? undefined : eq(accounts.passwordHash, replaces))).run()
        if (changes === 0) throw new Problem('credentials_wrong')
        if (endsTokens) tokenRemover.remove(id)
      })
    },

    setQuota: (id, { bytes, files }) => commit(() => { db.update(accounts).set({ quotaBytes: bytes, quotaFiles: files }).where(eq(accounts.id, id)).run() }),

    setDisabled: (id, at) => commit(() => { db.update(accounts).set({ disabledAt: at }).where(eq(accounts.id, id)).run() }),

    removeAccount: (id, at) => commit(() => {
      // A colon can't stand in a username: the key is nobody's, and the name is free.
      db.update(accounts).set({ removedAt: at, username: '', usernameKey: `removed:${id}`, passwordHash: '' }).where(eq(accounts.id, id)).run()
    }),

    async purgeDeletedAccounts (limit) {
      // Most sweeps find nobody, and a transaction for that would cost a sync.
      const gone = await read(() => removed.get())
      if (gone === undefined) return false
      await tokenRemover.thinOut(gone.id)
      await commit(() => { if (!removeFiles(gone.id, limit)) db.delete(accounts).where(eq(accounts.id, gone.id)).run() })
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
