import { and, asc, eq, getTableColumns, gt, inArray, isNotNull, isNull, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import type { Committer } from './committer.ts'
import { isUniqueViolation } from './failures.ts'
import { accounts, attempts, discardedBlobs, files, kept, uploads } from './schema.ts'
import { createTokenRemover } from './token-remover.ts'

type AccountRepository = Pick<Metadata,
  'addAccount' | 'findAccount' | 'findAccountByKey' | 'accountsAfter' | 'setPasswordHash' | 'setQuota' | 'setDisabled'
  | 'removeAccount' | 'purgeDeletedAccounts'
>

/** All columns but `removedAt`: only accounts that are not deleted are returned. */
export const { removedAt: _removedAt, ...accountColumns } = getTableColumns(accounts)

export function createAccountRepository (db: BetterSQLite3Database, committer: Committer): AccountRepository {
  const { commit, read } = committer
  const tokenRemover = createTokenRemover(db, committer)
  const isActive = isNull(accounts.removedAt)
  const byId = db.select(accountColumns).from(accounts).where(and(eq(accounts.id, sql.placeholder('id')), isActive)).prepare()
  const deleted = db.select({ id: accounts.id }).from(accounts).where(isNotNull(accounts.removedAt)).prepare()
  const byKey = db.select(accountColumns).from(accounts).where(and(eq(accounts.usernameKey, sql.placeholder('key')), isActive)).prepare()

  return {
    addAccount: (account, attempt) => commit(() => {
      try {
        const now = Date.now()
        if (attempt !== undefined) db.insert(attempts).values({ at: now, ...attempt }).run()
        return db.insert(accounts).values({ createdAt: now, ...account }).returning(accountColumns).get()
      } catch (error) {
        if (isUniqueViolation(error)) throw new Problem('username_taken', { cause: error })
        throw error
      }
    }),

    findAccount: id => read(() => byId.get({ id })),

    findAccountByKey: key => read(() => byKey.get({ key })),

    accountsAfter: (afterId, limit) => read(() => db.select(accountColumns).from(accounts)
      .where(and(gt(accounts.id, afterId), isActive)).orderBy(asc(accounts.id)).limit(limit).all()),

    async setPasswordHash (id, passwordHash, { revokesTokens, expectedHash }) {
      if (revokesTokens) await tokenRemover.thinOut(id)
      await commit(() => {
        const { changes } = db.update(accounts).set({ passwordHash })
          .where(and(eq(accounts.id, id), isActive, expectedHash === undefined ? undefined : eq(accounts.passwordHash, expectedHash))).run()
        if (changes === 0) throw new Problem('credentials_wrong')
        if (revokesTokens) tokenRemover.remove(id)
      })
    },

    setQuota: (id, { bytes, files }) => commit(() => {
      db.update(accounts).set({ quotaBytes: bytes, quotaFiles: files }).where(eq(accounts.id, id)).run()
    }),

    setDisabled: (id, at) => commit(() => { db.update(accounts).set({ disabledAt: at }).where(eq(accounts.id, id)).run() }),

    removeAccount: (id, at) => commit(() => {
      // No username has a colon: this key clashes with none, and frees the name.
      db.update(accounts).set({
        removedAt: at,
        username: '',
        usernameKey: `removed:${id}`,
        passwordHash: ''
      }).where(eq(accounts.id, id)).run()
    }),

    async purgeDeletedAccounts (limit) {
      // Usually there is none, and a transaction would cost a sync.
      const account = await read(() => deleted.get())
      if (account === undefined) return false
      await tokenRemover.thinOut(account.id)
      await commit(() => { if (!removeUploads(account.id, limit) && !removeFiles(account.id, limit) && !removeKept(account.id, limit)) db.delete(accounts).where(eq(accounts.id, account.id)).run() })
      return true
    }
  }

  function removeUploads (ownerId: number, limit: number): boolean {
    const batch = db.select({ id: uploads.id, blobId: uploads.blobId, result: uploads.result }).from(uploads).where(eq(uploads.ownerId, ownerId)).limit(limit).all()
    if (batch.length === 0) return false
    discard(batch.filter(({ result }) => result === null))
    db.delete(uploads).where(inArray(uploads.id, batch.map(({ id }) => id))).run()
    return true
  }

  function removeFiles (ownerId: number, limit: number): boolean {
    const batch = db.select({ id: files.id, blobId: files.blobId }).from(files).where(eq(files.ownerId, ownerId)).limit(limit).all()
    if (batch.length === 0) return false
    discard(batch)
    db.delete(files).where(inArray(files.id, batch.map(({ id }) => id))).run()
    return true
  }

  function removeKept (ownerId: number, limit: number): boolean {
    const batch = db.select({ blobId: kept.id }).from(kept).where(eq(kept.ownerId, ownerId)).limit(limit).all()
    if (batch.length === 0) return false
    discard(batch)
    db.delete(kept).where(inArray(kept.id, batch.map(({ blobId }) => blobId))).run()
    return true
  }

  function discard (blobs: { blobId: string }[]): void {
    const discardedAt = Date.now()
    if (blobs.length > 0) db.insert(discardedBlobs).values(blobs.map(({ blobId }) => ({ blobId, discardedAt }))).run()
  }
}
