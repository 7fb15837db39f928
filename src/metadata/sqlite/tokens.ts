import { and, asc, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import type { TokenAndAccount } from '../records.ts'
import { accountColumns } from './accounts.ts'
import { limitedTo } from './bounds.ts'
import type { Committer } from './committer.ts'
import type { WriteEvent } from './events.ts'
import { isOwnerMissing } from './failures.ts'
import { createRowCache } from './row-cache.ts'
import { accounts, tokens } from './schema.ts'
import { createTokenRemover } from './token-remover.ts'

type TokenRepository = Pick<Metadata, 'addToken' | 'findToken' | 'findTokenBySecret' | 'listTokens' | 'touchToken' | 'removeToken' | 'removeTokens' | 'removeExpiredTokens'>

interface TokenActsOptions { db: BetterSQLite3Database, committer: Committer, writeEvent: WriteEvent }

export function createTokenRepository ({ db, committer, writeEvent }: TokenActsOptions): TokenRepository {
  const { commit, read } = committer
  const remember = createRowCache<number | string, TokenAndAccount>(committer)
  const withAccount = () => db.select({ token: tokens, account: accountColumns }).from(tokens)
    .innerJoin(accounts, and(eq(accounts.id, tokens.accountId), isNull(accounts.removedAt)))
  const byId = withAccount().where(eq(tokens.id, sql.placeholder('id'))).prepare()
  const bySecret = withAccount().where(eq(tokens.secretHash, sql.placeholder('secretHash'))).prepare()

  const remover = createTokenRemover(db, committer)
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
  const beyond = db.select({ id: tokens.id }).from(tokens).where(eq(tokens.accountId, placeholder('accountId')))
    .orderBy(limitedTo(desc(tokens.id), 1, placeholder('maxTokens'))).prepare()
  const oldestAccess = db.select({ id: tokens.id }).from(tokens)
    .where(and(eq(tokens.accountId, placeholder('accountId')), eq(tokens.kind, 'access'), lt(tokens.id, placeholder('newId'))))
    .orderBy(limitedTo(asc(tokens.id), 1)).prepare()
  const holder = db.select({ id: accounts.id }).from(accounts).where(and(eq(accounts.id, placeholder('id')), eq(accounts.passwordHash, placeholder('passwordHash')))).prepare()

  /** Reads one row in so many of the index, and nothing of an account with fewer tokens. */
  function makeRoom (accountId: number, newId: number, maxTokens: number): void {
    if (beyond.get({ accountId, maxTokens }) === undefined) return
    const oldest = oldestAccess.get({ accountId, newId })
    if (oldest === undefined) throw new Problem('too_many_tokens', { detail: `An account may have ${maxTokens} tokens; end a personal one first.` })
    db.delete(tokens).where(eq(tokens.id, oldest.id)).run()
  }

  return {
    addToken: (token, { told, passwordHash, maxTokens } = {}) => commit(() => {
      // Read here, among the acts, for a change of the password ends the tokens that are there, and only those.
      if (passwordHash !== undefined && holder.get({ id: token.accountId, passwordHash }) === undefined) throw new Problem('credentials_wrong')
      try {
        const added = insert.get({ ...token })
        if (maxTokens !== undefined) makeRoom(token.accountId, added.id, maxTokens)
        if (told !== undefined) writeEvent(told.event, told.keep)
        return added
      } catch (error) {
        if (isOwnerMissing(error)) throw new Problem('token_revoked', { cause: error })
        throw error
      }
    }),

    findToken: id => read(() => remember(id, () => byId.get({ id }))),

    findTokenBySecret: secretHash => read(() => remember(secretHash, () => bySecret.get({ secretHash }))),

    listTokens: (accountId, { now, beforeId, limit }) => read(() => db.select().from(tokens)
      .where(and(
        eq(tokens.accountId, accountId),
        or(isNull(tokens.expiresAt), gt(tokens.expiresAt, now)),
        beforeId === undefined ? undefined : lt(tokens.id, beforeId)
      )).orderBy(desc(tokens.id)).limit(limit).all()),

    touchToken: (id, at) => commit(() => { db.update(tokens).set({ lastUsedAt: at }).where(eq(tokens.id, id)).run() }),

    removeToken: (accountId, id) => commit(() => {
      const { changes } = db.delete(tokens).where(and(eq(tokens.accountId, accountId), eq(tokens.id, id))).run()
      if (changes === 0) throw new Problem('not_found')
    }),

    async removeTokens (accountId) {
      await remover.thinOut(accountId)
      await commit(() => remover.remove(accountId))
    },

    removeExpiredTokens: ({ kind, before }, limit) => commit(() => {
      const batch = db.select({ id: tokens.id }).from(tokens).where(and(eq(tokens.kind, kind), lt(tokens.expiresAt, before))).orderBy(asc(tokens.expiresAt)).limit(limit)
      return db.delete(tokens).where(inArray(tokens.id, batch)).run().changes === limit
    })
  }
}
