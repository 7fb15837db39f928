import { and, asc, eq, getTableColumns, gt, inArray, isNotNull, isNull, sql } from 'drizzle-orm'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import { clock, prepared, type Connections, type Db } from './connections.ts'
import { isUniqueViolation } from './failures.ts'
import { accounts, attempts, discardedBlobs, files, kept, tokens, uploads } from './schema.ts'
import { deleteUploads } from './uploads.ts'

type AccountRepository = Pick<Metadata,
  'addAccount' | 'findAccount' | 'findAccountByKey' | 'accountsAfter' | 'setPasswordHash' | 'setQuota' | 'setDisabled'
  | 'removeAccount' | 'purgeDeletedAccounts'
>

/** All columns but `removedAt`: only accounts that are not deleted are returned. */
export const { removedAt: _removedAt, ...accountColumns } = getTableColumns(accounts)

const isActive = isNull(accounts.removedAt)

const byId = prepared(db => db.select(accountColumns).from(accounts).where(and(eq(accounts.id, sql.placeholder('id')), isActive)).prepare('account_by_id'))
const byKey = prepared(db => db.select(accountColumns).from(accounts).where(and(eq(accounts.usernameKey, sql.placeholder('key')), isActive)).prepare('account_by_key'))

export function createAccountRepository ({ read, write, executeIdempotent }: Connections): AccountRepository {
  return {
    addAccount: (account, attempt) => write(async db => {
      if (attempt !== undefined) await db.insert(attempts).values({ at: clock, ...attempt })
      const added = await db.insert(accounts).values({ createdAt: clock, ...account }).returning(accountColumns).catch((error: unknown) => {
        throw isUniqueViolation(error) ? new Problem('username_taken', { cause: error }) : error
      })
      return added[0] as typeof added[number]
    }),

    findAccount: id => read(async db => (await byId(db).execute({ id }))[0]),

    findAccountByKey: key => read(async db => (await byKey(db).execute({ key }))[0]),

    accountsAfter: (afterId, limit) => read(db => db.select(accountColumns).from(accounts)
      .where(and(gt(accounts.id, afterId), isActive)).orderBy(asc(accounts.id)).limit(limit)),

    // The update locks the account, which a new token needs: the tokens that exist by then are deleted, and later ones have the new hash.
    setPasswordHash: (id, passwordHash, { revokesTokens, expectedHash }) => write(async db => {
      const changed = await db.update(accounts).set({ passwordHash })
        .where(and(eq(accounts.id, id), isActive, expectedHash === undefined ? undefined : eq(accounts.passwordHash, expectedHash)))
        .returning({ id: accounts.id })
      if (changed.length === 0) throw new Problem('credentials_wrong')
      if (revokesTokens) await db.delete(tokens).where(eq(tokens.accountId, id))
    }),

    setQuota: (id, { bytes, files }) => executeIdempotent(async db => {
      await db.update(accounts).set({ quotaBytes: bytes, quotaFiles: files }).where(eq(accounts.id, id))
    }),

    setDisabled: (id, at) => executeIdempotent(async db => { await db.update(accounts).set({ disabledAt: at }).where(eq(accounts.id, id)) }),

    removeAccount: (id, at) => executeIdempotent(async db => {
      // No username has a colon: this key clashes with none, and frees the name.
      await db.update(accounts).set({ removedAt: at, username: '', usernameKey: `removed:${id}`, passwordHash: '' }).where(eq(accounts.id, id))
    }),

    async purgeDeletedAccounts (limit) {
      const deleted = (db: Db) => db.select({ id: accounts.id }).from(accounts).where(isNotNull(accounts.removedAt)).limit(1)
      // Usually there is none, and a transaction would take two more round trips.
      if ((await read(deleted)).length === 0) return false
      return write(async db => {
        // One that another process is purging is left to it.
        const [account] = await deleted(db).for('update', { skipLocked: true })
        if (account === undefined) return false
        const hasMore = await removeUploads(db, account.id, limit) || await removeFiles(db, account.id, limit) || await removeKept(db, account.id, limit)
        if (!hasMore) await db.delete(accounts).where(eq(accounts.id, account.id))
        return true
      })
    }
  }
}

/** False if there were none. */
async function removeUploads (db: Db, ownerId: number, limit: number): Promise<boolean> {
  const batch = db.select({ id: uploads.id }).from(uploads).where(eq(uploads.ownerId, ownerId)).limit(limit)
  return await deleteUploads(db, inArray(uploads.id, batch)) > 0
}

/** False if there were none. */
async function removeFiles (db: Db, ownerId: number, limit: number): Promise<boolean> {
  const batch = db.select({ id: files.id }).from(files).where(eq(files.ownerId, ownerId)).limit(limit)
  return discard(db, await db.delete(files).where(inArray(files.id, batch)).returning({ blobId: files.blobId }))
}

/** False if there were none. */
async function removeKept (db: Db, ownerId: number, limit: number): Promise<boolean> {
  const batch = db.select({ id: kept.id }).from(kept).where(eq(kept.ownerId, ownerId)).limit(limit)
  return discard(db, await db.delete(kept).where(inArray(kept.id, batch)).returning({ blobId: kept.id }))
}

async function discard (db: Db, blobs: { blobId: string }[]): Promise<boolean> {
  if (blobs.length === 0) return false
  await db.insert(discardedBlobs).values(blobs.map(({ blobId }) => ({ blobId, discardedAt: clock })))
  return true
}
