import { and, asc, desc, eq, gt, inArray, isNull, lt, ne, or, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { TokenRepository } from './account-repository.ts'
import type { Engine } from './engine.ts'
import type { WriteEvent } from './events.ts'
import { isUnchanged } from './factor-repository.ts'
import { limitedTo } from './paging.ts'
import type { NewToken, TokenConditions, TokenRecord } from './records.ts'
import { ask, type Db, reading, Refusal, together, writing, type Rule } from './rule.ts'

const { placeholder } = sql

/** Deletes all tokens of an account, even if they are too many for one transaction. */
export class TokenRemover {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof removalsOf>

  constructor (engine: Engine) {
    this.#engine = engine
    this.#queries = removalsOf(engine)
  }

  /** Deletes the oldest tokens in transactions of their own until few are left. Most accounts never have more. */
  async thinOut (accountId: number): Promise<void> {
    const { maxDeletedRows, read, transactFor } = this.#engine
    const { surplus, removeOldest } = this.#queries
    if (maxDeletedRows === Infinity) return
    while ((await read(() => ask(surplus, { accountId }))).length > 0) {
      await transactFor(accountId, () => ask(removeOldest, { accountId }))
    }
  }

  /** Deletes the rest in the current transaction, after `thinOut`. */
  * removeRest (accountId: number): Rule<void> {
    yield * ask(this.#queries.removeAll, { accountId })
  }

  /** Deletes the sessions and the access tokens of passwords, but not one session and its access tokens. */
  * removeSignedIn (accountId: number, sessionId = 0): Rule<void> {
    yield * ask(this.#queries.removeSignedIn, { accountId, sessionId })
  }
}

function removalsOf ({ tables: { tokens }, maxDeletedRows }: Engine) {
  const isOfAccount = eq(tokens.accountId, placeholder('accountId'))
  const someOf = (db: Db, limit: number, offset = 0) => db.select({ id: tokens.id }).from(tokens).where(isOfAccount)
    .orderBy(limitedTo(asc(tokens.id), limit, offset))
  return {
    surplus: reading('surplus_token', db => someOf(db, 1, maxDeletedRows)),
    removeOldest: writing('remove_oldest_tokens', db => db.delete(tokens).where(inArray(tokens.id, someOf(db, maxDeletedRows)))),
    // An access token goes with its session.
    removeSignedIn: writing('remove_signed_in', db => db.delete(tokens).where(and(isOfAccount, or(
      and(eq(tokens.kind, 'session'), ne(tokens.id, placeholder('sessionId'))),
      and(eq(tokens.kind, 'access'), isNull(tokens.parentId))
    )))),
    removeAll: writing('remove_tokens', db => db.delete(tokens).where(isOfAccount))
  }
}

/** Methods that each database implements itself. */
export type TokenFinder = Pick<TokenRepository, 'find' | 'findBySecret'>

interface TokenOptions {
  readonly engine: Engine
  readonly writeEvent: WriteEvent
  readonly tokenRemover: TokenRemover
  readonly tokenFinder: TokenFinder
}

export class TokenRules implements TokenRepository {
  readonly find: TokenFinder['find']
  readonly findBySecret: TokenFinder['findBySecret']
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #writeEvent: WriteEvent
  readonly #tokenRemover: TokenRemover

  constructor ({ engine, writeEvent, tokenRemover, tokenFinder }: TokenOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#writeEvent = writeEvent
    this.#tokenRemover = tokenRemover
    this.find = tokenFinder.find
    this.findBySecret = tokenFinder.findBySecret
  }

  add (token: NewToken, conditions: TokenConditions = {}): Promise<TokenRecord> {
    return this.#engine.transactFor(token.accountId, () => this.#add(token, conditions))
  }

  * #add (token: NewToken, conditions: TokenConditions): Rule<TokenRecord> {
    const { withEvent, verified, maxTokens, lifetimeMilliseconds = Infinity } = conditions
    const { accountId } = token
    // Locked: a password change deletes the tokens that exist by then, and no later ones.
    const [[account], time] = yield * together(ask(this.#queries.lockAccount, { accountId }), this.#engine.now())
    if (verified !== undefined && !isUnchanged(account, verified)) throw new Problem('credentials_wrong')
    if (account === undefined) throw new Problem('token_revoked')
    const { createdAt = time } = token
    const expiresAt = Math.min(token.expiresAt ?? Infinity, createdAt + lifetimeMilliseconds)
    const added = yield * this.#insert({ ...token, createdAt, expiresAt: expiresAt === Infinity ? null : expiresAt })
    if (maxTokens !== undefined) yield * this.#enforceLimit(accountId, added.id, maxTokens)
    if (withEvent !== undefined) yield * this.#writeEvent(withEvent.event, withEvent.keep)
    return added
  }

  * #insert (values: Record<string, unknown>): Rule<TokenRecord> {
    try {
      const [added] = yield * ask(this.#queries.insert, values)
      return added as TokenRecord
    } catch (error) {
      throw error instanceof Refusal && error.constraint === 'reference' ? new Problem('token_revoked', { cause: error }) : error
    }
  }

  /** Deletes the oldest access token if the account has more than `maxTokens`. */
  * #enforceLimit (accountId: number, newId: number, maxTokens: number): Rule<void> {
    const { beyondLimit, oldestAccess, remove } = this.#queries
    const [surplus] = yield * ask(beyondLimit, { accountId, maxTokens })
    if (surplus === undefined) return
    const [oldest] = yield * ask(oldestAccess, { accountId, newId })
    if (oldest === undefined) throw new Problem('too_many_tokens', { detail: `An account may have at most ${maxTokens} tokens; revoke some first.` })
    yield * ask(remove, { accountId, id: oldest.id })
  }

  list (
    accountId: number, { beforeId, limit }: { beforeId: number | undefined, limit: number }
  ): Promise<TokenRecord[]> {
    const { tables: { tokens }, clock, read } = this.#engine
    return read(() => ask(reading('', db => db.select().from(tokens)
      .where(and(
        eq(tokens.accountId, accountId),
        or(isNull(tokens.expiresAt), gt(tokens.expiresAt, clock)),
        beforeId === undefined ? undefined : lt(tokens.id, beforeId)
      )).orderBy(desc(tokens.id)).limit(limit))))
  }

  recordUse (id: number, at: number): Promise<void> {
    return this.#engine.apply(() => ask(this.#queries.recordUse, { id, at }, () => {}))
  }

  remove (accountId: number, id: number): Promise<void> {
    return this.#engine.transactFor(accountId, () => ask(this.#queries.remove, { accountId, id }, removed => {
      if (removed.length === 0) throw new Problem('not_found')
    }))
  }

  async removeAll (accountId: number): Promise<void> {
    await this.#tokenRemover.thinOut(accountId)
    await this.#engine.apply(() => this.#tokenRemover.removeRest(accountId), accountId)
  }

  removeExpired ({ kind, before }: { kind: NewToken['kind'], before: number }, limit: number): Promise<boolean> {
    const { tables: { tokens }, apply, skippingLocked } = this.#engine
    return apply(() => ask(writing('', db => db.delete(tokens).where(inArray(tokens.id, skippingLocked(
      db.select({ id: tokens.id }).from(tokens).where(and(eq(tokens.kind, kind), lt(tokens.expiresAt, before)))
        .orderBy(asc(tokens.expiresAt)).limit(limit)
    ) as never)).returning({ id: tokens.id })), {}, removed => removed.length === limit))
  }
}

function queriesOf ({ tables: { accounts, tokens }, locking }: Engine) {
  const isOfAccount = eq(tokens.accountId, placeholder('accountId'))
  const idsOf = (db: Db) => db.select({ id: tokens.id }).from(tokens)
  return {
    lockAccount: reading('account_for_token', db => locking(db.select({ passwordHash: accounts.passwordHash, factorVersion: accounts.factorVersion }).from(accounts)
      .where(and(eq(accounts.id, placeholder('accountId')), isNull(accounts.removedAt))))),
    insert: writing('add_token', db => db.insert(tokens).values({
      accountId: placeholder('accountId'),
      kind: placeholder('kind'),
      parentId: placeholder('parentId'),
      name: placeholder('name'),
      scopes: placeholder('scopes'),
      secretHash: placeholder('secretHash'),
      factors: placeholder('factors'),
      browser: placeholder('browser'),
      system: placeholder('system'),
      createdAt: placeholder('createdAt'),
      expiresAt: placeholder('expiresAt')
    }).returning()),
    beyondLimit: reading('token_beyond_limit', db => idsOf(db).where(isOfAccount)
      .orderBy(limitedTo(desc(tokens.id), 1, placeholder('maxTokens')))),
    oldestAccess: reading('oldest_access_token', db => idsOf(db)
      .where(and(isOfAccount, eq(tokens.kind, 'access'), lt(tokens.id, placeholder('newId'))))
      .orderBy(limitedTo(asc(tokens.id), 1))),
    remove: writing('remove_token', db => db.delete(tokens).where(and(isOfAccount, eq(tokens.id, placeholder('id'))))
      .returning({ id: tokens.id })),
    recordUse: writing('record_token_use', db => db.update(tokens).set({ lastUsedAt: placeholder('at') as never })
      .where(eq(tokens.id, placeholder('id'))))
  }
}
