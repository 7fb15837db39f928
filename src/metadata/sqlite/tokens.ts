import { and, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../errors.ts'
import type Database from 'better-sqlite3'
import type { Metadata, TokenAndAccount } from '../metadata.ts'
import { accountColumns } from './accounts.ts'
import type { Committer } from './committer.ts'
import type { WriteEvent } from './events.ts'
import { isOwnerMissing } from './failures.ts'
import { rememberRows } from './remembered.ts'
import { accounts, tokens } from './schema.ts'

type TokenActs = Pick<Metadata, 'addToken' | 'findToken' | 'findTokenBySecret' | 'listTokens' | 'touchToken' | 'removeToken' | 'removeTokens' | 'removeExpiredTokens'>

interface TokenActsOptions { db: BetterSQLite3Database, client: Database.Database, committer: Committer, writeEvent: WriteEvent }

export function createTokenActs ({ db, client, committer, writeEvent }: TokenActsOptions): TokenActs {
  const { commit } = committer
  const remember = rememberRows<number | string, TokenAndAccount>(client, committer)
  const withAccount = () => db.select({ token: tokens, account: accountColumns }).from(tokens)
    .innerJoin(accounts, and(eq(accounts.id, tokens.accountId), isNull(accounts.removedAt)))
  const byId = withAccount().where(eq(tokens.id, sql.placeholder('id'))).prepare()
  const bySecret = withAccount().where(eq(tokens.secretHash, sql.placeholder('secretHash'))).prepare()

  const { placeholder } = sql
  const insert = db.insert(tokens).values({
    accountId: placeholder('accountId'),
    kind: placeholder('kind'),
    parentId: placeholder('parentId'),
    name: placeholder('name'),
    scopes: placeholder('scopes'),
    secretHash: placeholder('secretHash'),
    createdAt: placeholder('createdAt'),
    expiresAt: placeholder('expiresAt')
  }).returning().prepare()
  const holder = db.select({ id: accounts.id }).from(accounts).where(and(eq(accounts.id, placeholder('id')), eq(accounts.passwordHash, placeholder('passwordHash')))).prepare()

  return {
    addToken: (token, told, passwordHash) => commit(() => {
      // Read here, among the acts, for a change of the password ends the tokens that are there, and only those.
      if (passwordHash !== undefined && holder.get({ id: token.accountId, passwordHash }) === undefined) throw new Problem('credentials_wrong')
      try {
        const added = insert.get({ ...token })
        if (told !== undefined) writeEvent(told.event, told.keep)
        return added
      } catch (error) {
        if (isOwnerMissing(error)) throw new Problem('token_revoked', { cause: error })
        throw error
      }
    }),

    findToken: async id => remember(id, () => byId.get({ id })),

    findTokenBySecret: async secretHash => remember(secretHash, () => bySecret.get({ secretHash })),

    listTokens: async (accountId, { now, beforeId, limit }) => db.select().from(tokens)
      .where(and(
        eq(tokens.accountId, accountId),
        or(isNull(tokens.expiresAt), gt(tokens.expiresAt, now)),
        beforeId === undefined ? undefined : lt(tokens.id, beforeId)
      )).orderBy(desc(tokens.id)).limit(limit).all(),

    touchToken: (id, at) => commit(() => { db.update(tokens).set({ lastUsedAt: at }).where(eq(tokens.id, id)).run() }),

    removeToken: (accountId, id) => commit(() => {
      const { changes } = db.delete(tokens).where(and(eq(tokens.accountId, accountId), eq(tokens.id, id))).run()
      if (changes === 0) throw new Problem('not_found')
    }),

    removeTokens: accountId => commit(() => { db.delete(tokens).where(eq(tokens.accountId, accountId)).run() }),

    removeExpiredTokens: (before, limit) => commit(() =>
      db.delete(tokens).where(inArray(tokens.id, db.select({ id: tokens.id }).from(tokens).where(lt(tokens.expiresAt, before)).limit(limit))).run().changes === limit)
  }
}
