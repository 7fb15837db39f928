import { and, asc, desc, eq, gt, inArray, isNull, lt, ne, or, type SQL } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import { accountColumns } from './columns.ts'
import type { Engine } from './engine.ts'
import type { EventWriter } from './events.ts'
import { isUnchanged } from './factor-records.ts'
import { type Db, existing, isAny, matching, pipeline, prepared, query, refusedAs, type Rule } from './rule.ts'
import type { Factor, NewToken, TokenAndAccount, TokenConditions, TokenRecord } from './records.ts'
import type { Services } from './services.ts'

/** Deletes all tokens of an account, even if they are too many for one transaction. */
export type TokenRemover = ReturnType<typeof createTokenRemover>

export function createTokenRemover ({ tables: { connections, tokens }, maxDeletedRows, read, transactFor }: Engine) {
  const isOf = (accountId: number) => eq(tokens.accountId, accountId)
  const { removeAll } = prepared('tokens', {
    removeAll: db => db.delete(tokens).where(matching(tokens, 'accountId'))
  })

  return {
    /** Deletes the oldest tokens in transactions of their own until few are left. Most accounts never have more. */
    async removeInBatches (accountId: number): Promise<void> {
      if (maxDeletedRows === Infinity) return
      const oldest = (db: Db) =>
        db.select({ id: tokens.id }).from(tokens).where(isOf(accountId)).orderBy(asc(tokens.id))
      while (await read(() => query(db => oldest(db).limit(1).offset(maxDeletedRows), isAny))) {
        await transactFor(accountId, () =>
          query(db => db.delete(tokens).where(inArray(tokens.id, oldest(db).limit(maxDeletedRows)))))
      }
    },

    /**
     * Deletes the remaining tokens in the current transaction, after `removeInBatches`, and the connections that the
     * account has allowed: each would become a token.
     */
    * removeRemaining (accountId: number): Rule<void> {
      yield * pipeline(
        removeAll({ accountId }),
        query(db => db.delete(connections).where(eq(connections.accountId, accountId)))
      )
    },

    /** Deletes the sessions that a provider began, with their access tokens. */
    removeOfProvider: (accountId: number) => query(db => db.delete(tokens)
      .where(and(isOf(accountId), eq(tokens.kind, 'session'), eq(tokens.factors, 'oidc' satisfies Factor)))),

    /** Deletes the sessions and the access tokens of passwords, but not one session and its access tokens. */
    removeSignedIn: (accountId: number, sessionId = 0) => query(db => db.delete(tokens).where(and(isOf(accountId), or(
      and(eq(tokens.kind, 'session'), ne(tokens.id, sessionId)),
      // An access token goes with its session.
      and(eq(tokens.kind, 'access'), isNull(tokens.parentId))
    ))))
  }
}

/** What adds a token to a locked account in the current transaction. */
export function createTokenAdder ({ tables: { tokens } }: Engine, writeEvent: EventWriter) {
  const isOf = (accountId: number) => eq(tokens.accountId, accountId)

  /** Deletes the oldest access token if the account has more than `maxTokens`. */
  function * enforceLimit (accountId: number, newId: number, maxTokens: number): Rule<void> {
    const ids = (db: Db, condition?: SQL) =>
      db.select({ id: tokens.id }).from(tokens).where(and(isOf(accountId), condition))
    const isFull = yield * query(db => ids(db).orderBy(desc(tokens.id)).limit(1).offset(maxTokens), isAny)
    if (!isFull) return
    const [oldest] = yield * query(db => ids(db, and(eq(tokens.kind, 'access'), lt(tokens.id, newId)))
      .orderBy(asc(tokens.id)).limit(1))
    if (oldest === undefined) {
      throw new Problem('too_many_tokens', {
        detail: `An account may have at most ${maxTokens} tokens; revoke some first.`
      })
    }
    yield * query(db => db.delete(tokens).where(and(isOf(accountId), eq(tokens.id, oldest.id))))
  }

  return function * (
    token: NewToken, time: number, { withEvent, maxTokens, lifetimeMilliseconds = Infinity }: TokenConditions
  ): Rule<TokenRecord> {
    const { createdAt = time, accountId } = token
    const expiresAt = Math.min(token.expiresAt ?? Infinity, createdAt + lifetimeMilliseconds)
    const values = { ...token, createdAt, expiresAt: expiresAt === Infinity ? null : expiresAt }
    const insert = query(db => db.insert(tokens).values(values).returning(), existing)
    const added = yield * refusedAs('token_revoked', insert)
    if (maxTokens !== undefined) yield * enforceLimit(accountId, added.id, maxTokens)
    if (withEvent !== undefined) yield * writeEvent(withEvent.event, withEvent.keep)
    return added
  }
}

/** Access tokens, personal tokens and sessions: a part of the contract of {@link Metadata}. */
export type TokenRepository = ReturnType<typeof createTokens>

export function createTokens ({ engine, owners, addToken, tokenRemover, read, write, removeSome }: Services) {
  const { tables: { tokens }, clock, now, transactFor, apply } = engine
  const queries = queriesOf(engine)

  const byId = engine.finder(queries.byId, ({ token }) => token.id)
  const bySecret = engine.finder(queries.bySecret, ({ token }) => String(token.secretHash))

  // Not a spread: it took 3 % of a small GET.
  const asOfNow = (row: TokenAndAccount | undefined) =>
    row && { token: row.token, account: row.account, now: engine.timeOf(row) }

  /** Returns whether the account had the token. */
  const drop = (accountId: number, id: number) => query(
    db => db.delete(tokens).where(and(eq(tokens.accountId, accountId), eq(tokens.id, id))).returning({ id: tokens.id }),
    isAny
  )

  return {
    /** The token and its account, in one query; undefined if either was deleted. */
    async find (id: number): Promise<TokenAndAccount | undefined> {
      // A token that was signed with our key by someone else can have any id.
      return Number.isSafeInteger(id) ? asOfNow(await byId(id)) : undefined
    },

    findBySecret: async (secretHash: string) => asOfNow(await bySecret(secretHash)),

    /**
     * Adds a token. Beyond `maxTokens`, the account's oldest access token is deleted in the same transaction.
     * @throws token_revoked if the account, or the parent token, was deleted; credentials_wrong if it is no longer
     * `verified`; too_many_tokens if the account has no access token to delete.
     */
    add (token: NewToken, conditions: TokenConditions = {}): Promise<TokenRecord> {
      const { accountId } = token
      const { verified } = conditions
      return transactFor(accountId, function * () {
        // Locked: a password change deletes the tokens that exist by then, and no later ones.
        const [account, time] = yield * pipeline(owners.findLocked(accountId), now())
        if (verified !== undefined && !isUnchanged(account, verified)) throw new Problem('credentials_wrong')
        if (account === undefined) throw new Problem('token_revoked')
        return yield * addToken(token, time, conditions)
      })
    },

    /** Tokens that have not expired, newest first: at most `limit` with an id below `beforeId`. */
    list: read((
      accountId: number, { beforeId, limit }: { beforeId: number | undefined, limit: number }
    ): Rule<TokenRecord[]> => query(db => db.select().from(tokens)
      .where(and(
        eq(tokens.accountId, accountId),
        or(isNull(tokens.expiresAt), gt(tokens.expiresAt, clock)),
        beforeId === undefined ? undefined : lt(tokens.id, beforeId)
      )).orderBy(desc(tokens.id)).limit(limit))),

    /** Sets the time at which a token was last used. */
    recordUse: (id: number, at: number): Promise<void> => apply(() =>
      query(db => db.update(tokens).set({ lastUsedAt: at }).where(eq(tokens.id, id)), () => {})),

    /** Deletes a token and the tokens issued for it. @throws not_found if the account has no such token. */
    remove: write(function * (accountId, id: number) {
      if (!(yield * drop(accountId, id))) throw new Problem('not_found')
    }),

    /**
     * Deletes all tokens of an account. If they are more than a few hundred, the oldest are deleted first, in
     * transactions of their own.
     */
    async removeAll (accountId: number): Promise<void> {
      await tokenRemover.removeInBatches(accountId)
      await transactFor(accountId, () => tokenRemover.removeRemaining(accountId))
    },

    /** Deletes up to `limit` tokens of a kind that expired before `before`; true if there may be more. */
    removeExpired: ({ kind, before }: { kind: NewToken['kind'], before: number }, limit: number): Promise<boolean> =>
      removeSome(tokens, tokens.id, { matching: and(eq(tokens.kind, kind), lt(tokens.expiresAt, before)), limit })
  }
}

function queriesOf ({ tables, clock, isAmong }: Engine) {
  const { accounts, tokens } = tables
  const withAccount = (column: typeof tokens.id | typeof tokens.secretHash) => (db: Db) => db
    .select({ token: tokens, account: accountColumns(tables), now: clock.mapWith(Number) }).from(tokens)
    .innerJoin(accounts, and(eq(accounts.id, tokens.accountId), isNull(accounts.removedAt)))
    .where(isAmong(column, 'keys'))
  return prepared('tokens', { byId: withAccount(tokens.id), bySecret: withAccount(tokens.secretHash) })
}
