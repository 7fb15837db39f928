import { and, eq, isNull, ne, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { type FirstFactor, isUnchanged } from './factor-repository.ts'
import type { OneTimeSecrets } from './one-time-secrets.ts'
import type { VerifiedAccount } from './records.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'
import type { TokenRemover } from './token-remover.ts'

const { placeholder } = sql

/** An account whose row is locked until the transaction ends. */
export interface LockedAccount extends VerifiedAccount { readonly factorCount: number }

/** What the changes of factors have in common: the lock of the account, and what a change means for the rest of it. */
export class FactorChanges {
  readonly #tables: Engine['tables']
  readonly #now: Engine['now']
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #tokenRemover: TokenRemover
  readonly #secrets: OneTimeSecrets

  constructor (engine: Engine, { tokenRemover, secrets }: { tokenRemover: TokenRemover, secrets: OneTimeSecrets }) {
    this.#tables = engine.tables
    this.#now = engine.now
    this.#queries = queriesOf(engine)
    this.#tokenRemover = tokenRemover
    this.#secrets = secrets
  }

  /** Locks an account. @throws credentials_wrong if it was changed since it was verified. */
  * begin (account: VerifiedAccount): Rule<{ account: LockedAccount, now: number }> {
    const [[locked], now] = yield * together(ask(this.#queries.lock, { accountId: account.id }), this.#now())
    if (locked === undefined || !isUnchanged(locked, account)) throw new Problem('credentials_wrong')
    return { account: locked, now }
  }

  /** After factors were added to, or replaced in, an account. Returns whether they are the first. */
  * added ({ id, factorCount }: LockedAccount, added: number, first: FirstFactor): Rule<boolean> {
    yield * this.#count(id, added)
    if (factorCount > 0) return false
    yield * this.setRecoveryCodes(id, first.recoveryCodes)
    yield * this.#tokenRemover.removeSignedIn(id, first.sessionId)
    yield * ask(this.#queries.forgetNetworks, { accountId: id, network: first.network ?? '' })
    return true
  }

  /** After a factor of an account was removed. */
  * removed ({ id, factorCount }: LockedAccount): Rule<void> {
    yield * this.#count(id, -1)
    if (factorCount === 1) yield * ask(this.#queries.removeCodes, { accountId: id })
  }

  * #count (accountId: number, added: number): Rule<void> {
    yield * together(ask(this.#queries.count, { accountId, added }), this.#secrets.endOf(accountId))
  }

  * setRecoveryCodes (accountId: number, hashes: readonly string[]): Rule<void> {
    const { recoveryCodes } = this.#tables
    yield * together(
      ask(this.#queries.removeCodes, { accountId }),
      ask(writing('', db => db.insert(recoveryCodes).values(hashes.map(hash => ({ accountId, hash })))))
    )
  }

  /** Removes all factors of an account. */
  * removeAll (accountId: number): Rule<void> {
    const { clear, removeTotp, removePasskeys, removeCodes } = this.#queries
    const of = { accountId }
    yield * together(
      ask(clear, of), ask(removeTotp, of), ask(removePasskeys, of), ask(removeCodes, of), this.#secrets.endOf(accountId)
    )
  }
}

function queriesOf ({ tables, locking }: Engine) {
  const { accounts, accountNetworks, totpSecrets, passkeys, recoveryCodes } = tables
  const accountId = placeholder('accountId')
  const isAccount = eq(accounts.id, accountId)
  const factorVersion = sql`${accounts.factorVersion} + 1`
  return {
    lock: reading('account_for_factors', db => locking(db.select({
      id: accounts.id,
      passwordHash: accounts.passwordHash,
      factorCount: accounts.factorCount,
      factorVersion: accounts.factorVersion
    }).from(accounts).where(and(isAccount, isNull(accounts.removedAt))))),
    count: writing('count_factors', db => db.update(accounts).set({
      factorCount: sql`${accounts.factorCount} + cast(${placeholder('added')} AS bigint)`, factorVersion
    }).where(isAccount)),
    clear: writing('clear_factors', db => db.update(accounts).set({ factorCount: 0, factorVersion }).where(isAccount)),
    // A thief may have made them known with the password alone.
    forgetNetworks: writing('', db => db.delete(accountNetworks)
      .where(and(eq(accountNetworks.accountId, accountId), ne(accountNetworks.network, placeholder('network'))))),
    removeTotp: writing('remove_totp', db => db.delete(totpSecrets).where(eq(totpSecrets.accountId, accountId))),
    removePasskeys: writing('remove_passkeys', db => db.delete(passkeys).where(eq(passkeys.accountId, accountId))),
    removeCodes: writing('remove_recovery_codes', db => db.delete(recoveryCodes).where(eq(recoveryCodes.accountId, accountId)))
  }
}
