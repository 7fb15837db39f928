import { and, asc, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { WriteEvent } from './events.ts'
import type { TokenRepository } from './metadata.ts'
import { limitedTo } from './paging.ts'
import type { TokenRecord } from './records.ts'
import { ask, reading, Refusal, together, writing, type Rule } from './rule.ts'

const { placeholder } = sql

/** Deletes all tokens of an account, even if they are too many for one transaction. */
export interface TokenRemover {
  /** Deletes the oldest tokens in transactions of their own until few enough are left. Most accounts never have more. */
  thinOut (accountId: number): Promise<void>
  /** Deletes the rest in the current transaction, after `thinOut`. */
  removeRest (accountId: number): Rule<void>
}

export function createTokenRemover ({ tables: { tokens }, maxDeletedRows, read, transactFor }: Engine): TokenRemover {
  const isOfAccount = eq(tokens.accountId, placeholder('accountId'))
  const beyond = reading('token_beyond_transaction', db => db.select({ id: tokens.id }).from(tokens).where(isOfAccount).orderBy(limitedTo(asc(tokens.id), 1, maxDeletedRows)))
  const removeOldest = writing('remove_oldest_tokens', db => db.delete(tokens)
    .where(inArray(tokens.id, db.select({ id: tokens.id }).from(tokens).where(isOfAccount).orderBy(limitedTo(asc(tokens.id), maxDeletedRows)))))
  const removeAll = writing('remove_tokens', db => db.delete(tokens).where(isOfAccount))

  return {
    async thinOut (accountId) {
      if (maxDeletedRows === Infinity) return
      while ((await read(() => ask(beyond, { accountId }))).length > 0) await transactFor(accountId, () => ask(removeOldest, { accountId }))
    },
    * removeRest (accountId) { yield * ask(removeAll, { accountId }) }
  }
}

/** What the databases do in ways of their own. */
export type TokenFinder = Pick<TokenRepository, 'find' | 'findBySecret'>

interface TokenOptions { readonly engine: Engine, readonly writeEvent: WriteEvent, readonly tokenRemover: TokenRemover, readonly tokenFinder: TokenFinder }

export function createTokenRepository ({ engine, writeEvent, tokenRemover, tokenFinder }: TokenOptions): TokenRepository {
  const { tables: { accounts, tokens }, clock, now, read, transactFor, apply, locking } = engine
  const isOfAccount = eq(tokens.accountId, placeholder('accountId'))

  const activeAccount = reading('account_for_token', db => locking(db.select({ passwordHash: accounts.passwordHash }).from(accounts)
    .where(and(eq(accounts.id, placeholder('accountId')), isNull(accounts.removedAt)))))
  const insert = writing('add_token', db => db.insert(tokens).values({
    accountId: placeholder('accountId'),
    kind: placeholder('kind'),
    parentId: placeholder('parentId'),
    name: placeholder('name'),
    scopes: placeholder('scopes'),
    secretHash: placeholder('secretHash'),
    createdAt: placeholder('createdAt'),
    expiresAt: placeholder('expiresAt')
  }).returning())
  const beyondLimit = reading('token_beyond_limit', db => db.select({ id: tokens.id }).from(tokens).where(isOfAccount)
    .orderBy(limitedTo(desc(tokens.id), 1, placeholder('maxTokens'))))
  const oldestAccess = reading('oldest_access_token', db => db.select({ id: tokens.id }).from(tokens)
    .where(and(isOfAccount, eq(tokens.kind, 'access'), lt(tokens.id, placeholder('newId')))).orderBy(limitedTo(asc(tokens.id), 1)))
  const removeById = writing('remove_token', db => db.delete(tokens).where(and(isOfAccount, eq(tokens.id, placeholder('id')))).returning({ id: tokens.id }))
  const recordUse = writing('record_token_use', db => db.update(tokens).set({ lastUsedAt: placeholder('at') as never }).where(eq(tokens.id, placeholder('id'))))

  /** Deletes the oldest access token if the account has more than `maxTokens`. */
  function * enforceLimit (accountId: number, newId: number, maxTokens: number): Rule<void> {
    const [surplus] = yield * ask(beyondLimit, { accountId, maxTokens })
    if (surplus === undefined) return
    const [oldest] = yield * ask(oldestAccess, { accountId, newId })
    if (oldest === undefined) throw new Problem('too_many_tokens', { detail: `An account may have at most ${maxTokens} tokens; revoke some first.` })
    yield * ask(removeById, { accountId, id: oldest.id })
  }

  return {
    add: (token, { withEvent, passwordHash, maxTokens, lifetimeMilliseconds = Infinity } = {}) => transactFor(token.accountId, function * () {
      // Locked: a password change deletes the tokens that exist by then, and no later ones.
      const [[account], time] = yield * together(ask(activeAccount, { accountId: token.accountId }), now())
      if (passwordHash !== undefined && account?.passwordHash !== passwordHash) throw new Problem('credentials_wrong')
      if (account === undefined) throw new Problem('token_revoked')
      const { createdAt = time } = token
      const expiresAt = Math.min(token.expiresAt ?? Infinity, createdAt + lifetimeMilliseconds)
      const added = yield * insertToken({ ...token, createdAt, expiresAt: expiresAt === Infinity ? null : expiresAt })
      if (maxTokens !== undefined) yield * enforceLimit(token.accountId, added.id, maxTokens)
      if (withEvent !== undefined) yield * writeEvent(withEvent.event, withEvent.keep)
      return added
    }),

    ...tokenFinder,

    list: (accountId, { beforeId, limit }) => read(() => ask(reading('', db => db.select().from(tokens)
      .where(and(
        eq(tokens.accountId, accountId),
        or(isNull(tokens.expiresAt), gt(tokens.expiresAt, clock)),
        beforeId === undefined ? undefined : lt(tokens.id, beforeId)
      )).orderBy(desc(tokens.id)).limit(limit)))),

    recordUse: (id, at) => apply(function * () { yield * ask(recordUse, { id, at }) }),

    remove: (accountId, id) => transactFor(accountId, function * () {
      const removed = yield * ask(removeById, { accountId, id })
      if (removed.length === 0) throw new Problem('not_found')
    }),

    async removeAll (accountId) {
      await tokenRemover.thinOut(accountId)
      await apply(() => tokenRemover.removeRest(accountId), accountId)
    },

    removeExpired: ({ kind, before }, limit) => apply(function * () {
      const removed = yield * ask(writing('', db => db.delete(tokens).where(inArray(tokens.id, engine.skippingLocked(
        db.select({ id: tokens.id }).from(tokens).where(and(eq(tokens.kind, kind), lt(tokens.expiresAt, before))).orderBy(asc(tokens.expiresAt)).limit(limit)
      ) as never)).returning({ id: tokens.id })))
      return removed.length === limit
    })
  }

  function * insertToken (values: Record<string, unknown>): Rule<TokenRecord> {
    try {
      const [added] = yield * ask(insert, values)
      return added as TokenRecord
    } catch (error) {
      throw error instanceof Refusal && error.constraint === 'reference' ? new Problem('token_revoked', { cause: error }) : error
    }
  }
}
