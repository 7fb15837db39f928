import { and, asc, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import type { TokenAndAccount } from '../records.ts'
import { accountColumns } from './accounts.ts'
import type { Committer } from './committer.ts'
import type { WriteEvent } from './events.ts'
import { isOwnerMissing } from './failures.ts'
import { limitedTo } from './paging.ts'
import { createRowCache } from './row-cache.ts'
import { accounts, tokens } from './schema.ts'
import { createTokenRemover } from './token-remover.ts'

type TokenRepository = Pick<Metadata,
  'addToken' | 'findToken' | 'findTokenBySecret' | 'listTokens' | 'recordTokenUse' | 'removeToken' | 'removeTokens'
  | 'removeExpiredTokens'
>

interface TokenRepositoryOptions { db: BetterSQLite3Database, committer: Committer, writeEvent: WriteEvent }

export function createTokenRepository ({ db, committer, writeEvent }: TokenRepositoryOptions): TokenRepository {
  const { commit, read } = committer
  const cached = createRowCache<TokenRow>(committer)
  const statements = prepareStatements(db)
  const remover = createTokenRemover(db, committer)

  /** Deletes the oldest access token if the account has more than `maxTokens`, which takes one query that reads only the index. */
  function enforceLimit (accountId: number, newId: number, maxTokens: number): void {
    if (statements.tokenBeyondLimit.get({ accountId, maxTokens }) === undefined) return
    const oldest = statements.oldestAccess.get({ accountId, newId })
    if (oldest === undefined) {
      const detail = `An account may have at most ${maxTokens} tokens; revoke some first.`
      throw new Problem('too_many_tokens', { detail })
    }
    db.delete(tokens).where(eq(tokens.id, oldest.id)).run()
  }

  return {
    addToken: (token, { withEvent, passwordHash, maxTokens, lifetimeMilliseconds = Infinity } = {}) => commit(() => {
      // Read inside the transaction: a password change deletes the tokens that exist by then, and no later ones.
      if (passwordHash !== undefined && statements.accountWithHash.get({ id: token.accountId, passwordHash }) === undefined) {
        throw new Problem('credentials_wrong')
      }
      try {
        const { createdAt = Date.now() } = token
        const expiresAt = Math.min(token.expiresAt ?? Infinity, createdAt + lifetimeMilliseconds)
        const added = statements.insert.get({ ...token, createdAt, expiresAt: expiresAt === Infinity ? null : expiresAt })
        if (maxTokens !== undefined) enforceLimit(token.accountId, added.id, maxTokens)
        if (withEvent !== undefined) writeEvent(withEvent.event, withEvent.keep)
        return added
      } catch (error) {
        if (isOwnerMissing(error)) throw new Problem('token_revoked', { cause: error })
        throw error
      }
    }),

    findToken: id => read(() => dated(cached(id, () => statements.byId.get({ id })))),

    findTokenBySecret: secretHash => read(() => dated(cached(secretHash, () => statements.bySecret.get({ secretHash })))),

    listTokens: (accountId, { now = Date.now(), beforeId, limit }) => read(() => db.select().from(tokens)
      .where(and(
        eq(tokens.accountId, accountId),
        or(isNull(tokens.expiresAt), gt(tokens.expiresAt, now)),
        beforeId === undefined ? undefined : lt(tokens.id, beforeId)
      )).orderBy(desc(tokens.id)).limit(limit).all()),

    recordTokenUse: (id, at) => commit(() => { db.update(tokens).set({ lastUsedAt: at }).where(eq(tokens.id, id)).run() }),

    removeToken: (accountId, id) => commit(() => {
      const { changes } = db.delete(tokens).where(and(eq(tokens.accountId, accountId), eq(tokens.id, id))).run()
      if (changes === 0) throw new Problem('not_found')
    }),

    async removeTokens (accountId) {
      await remover.thinOut(accountId)
      await commit(() => remover.remove(accountId))
    },

    removeExpiredTokens: ({ kind, before }, limit) => commit(() => {
      const batch = db.select({ id: tokens.id }).from(tokens).where(and(
        eq(tokens.kind, kind),
        lt(tokens.expiresAt, before)
      )).orderBy(asc(tokens.expiresAt)).limit(limit)
      return db.delete(tokens).where(inArray(tokens.id, batch)).run().changes === limit
    })
  }
}

/** Building a statement takes Drizzle ten times as long as running it: these run with most requests. */
function prepareStatements (db: BetterSQLite3Database) {
  const { placeholder } = sql
  const withAccount = () => db.select({ token: tokens, account: accountColumns }).from(tokens)
    .innerJoin(accounts, and(eq(accounts.id, tokens.accountId), isNull(accounts.removedAt)))
  const byId = withAccount().where(eq(tokens.id, placeholder('id'))).prepare()
  const bySecret = withAccount().where(eq(tokens.secretHash, placeholder('secretHash'))).prepare()
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
  const tokenBeyondLimit = db.select({ id: tokens.id }).from(tokens).where(eq(tokens.accountId, placeholder('accountId')))
    .orderBy(limitedTo(desc(tokens.id), 1, placeholder('maxTokens'))).prepare()
  const oldestAccess = db.select({ id: tokens.id }).from(tokens)
    .where(and(eq(tokens.accountId, placeholder('accountId')), eq(tokens.kind, 'access'), lt(tokens.id, placeholder('newId'))))
    .orderBy(limitedTo(asc(tokens.id), 1)).prepare()
  const accountWithHash = db.select({ id: accounts.id }).from(accounts).where(and(
    eq(accounts.id, placeholder('id')),
    eq(accounts.passwordHash, placeholder('passwordHash'))
  )).prepare()
  return { byId, bySecret, insert, tokenBeyondLimit, oldestAccess, accountWithHash }
}

type TokenRow = Omit<TokenAndAccount, 'now'>

function dated (row: TokenRow | undefined): TokenAndAccount | undefined {
  // Not a spread: it took 3 % of a small GET.
  return row && { token: row.token, account: row.account, now: Date.now() }
}
