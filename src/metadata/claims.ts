import { and, eq, isNull, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { AddAccount } from './account-rows.ts'
import type { AccountRepository } from './accounts.ts'
import type { Engine } from './engine.ts'
import type { FactorChanges } from './factor-changes.ts'
import type { ClaimRepository, NewClaim } from './factor-records.ts'
import type { OneTimeSecrets } from './one-time-secrets.ts'
import type { AccountRecord, NewAccount } from './records.ts'
import { ask, reading, writing, type Rule } from './rule.ts'
import type { TokenRemover } from './token-remover.ts'

const { placeholder } = sql

interface ClaimOptions {
  readonly engine: Engine
  readonly secrets: OneTimeSecrets
  readonly changes: FactorChanges
  readonly tokenRemover: TokenRemover
  readonly addAccount: AddAccount
  readonly accounts: Pick<AccountRepository, 'find'>
}

export class ClaimRules implements ClaimRepository {
  readonly #options: ClaimOptions
  readonly #queries: ReturnType<typeof queriesOf>

  constructor (options: ClaimOptions) {
    this.#options = options
    this.#queries = queriesOf(options.engine)
  }

  add (claim: NewClaim, milliseconds: number): Promise<number> {
    const { transact, transactFor } = this.#options.engine
    const { accountId } = claim
    return accountId === null
      ? transact(() => this.#add(claim, milliseconds))
      : transactFor(accountId, () => this.#replace(accountId, claim, milliseconds))
  }

  * #add (claim: NewClaim, milliseconds: number): Rule<number> {
    const { engine, secrets } = this.#options
    const expiresAt = (yield * engine.now()) + milliseconds
    yield * secrets.add({ ...claim, kind: kindOf(claim), expiresAt })
    return expiresAt
  }

  // Locks the account, so that of two at once one replaces the other.
  * #replace (accountId: number, claim: NewClaim, milliseconds: number): Rule<number> {
    yield * ask(this.#queries.lock, { accountId })
    yield * ask(this.#queries.endReset, { accountId })
    return yield * this.#add(claim, milliseconds)
  }

  async find (hash: string): Promise<{ claim: NewClaim, account: AccountRecord | undefined } | undefined> {
    const { engine, secrets, accounts } = this.#options
    const claim = await engine.read(() => secrets.find(hash))
    if (claim === undefined || claim.kind === 'confirmation') return undefined
    if (claim.accountId === null) return { claim, account: undefined }
    const account = await accounts.find(claim.accountId)
    return account && { claim, account }
  }

  invite (hash: string, account: NewAccount): Promise<AccountRecord> {
    return this.#options.engine.transact(() => this.#invite(hash, account))
  }

  * #invite (hash: string, account: NewAccount): Rule<AccountRecord> {
    const { secrets, addAccount } = this.#options
    if ((yield * secrets.take('invitation', hash)) === undefined) throw new Problem('not_found')
    return yield * addAccount(account)
  }

  async reset (hash: string, passwordHash: string): Promise<void> {
    const { engine, secrets, tokenRemover } = this.#options
    const accountId = (await engine.read(() => secrets.find(hash)))?.accountId
    if (typeof accountId !== 'number') throw new Problem('not_found')
    await tokenRemover.thinOut(accountId)
    await engine.transactFor(accountId, () => this.#reset(hash, { accountId, passwordHash }))
  }

  // The update locks the account first, as all that changes it does.
  * #reset (hash: string, { accountId, passwordHash }: { accountId: number, passwordHash: string }): Rule<void> {
    const { secrets, tokenRemover, changes } = this.#options
    const [account] = yield * ask(this.#queries.setPassword, { accountId, passwordHash })
    const claim = yield * secrets.take('reset', hash)
    if (account === undefined || claim === undefined) throw new Problem('not_found')
    yield * tokenRemover.removeRest(accountId)
    yield * secrets.endOf(accountId)
    if (claim.removesFactors) yield * changes.removeAll(accountId)
  }
}

function kindOf ({ accountId }: NewClaim): 'invitation' | 'reset' {
  return accountId === null ? 'invitation' : 'reset'
}

function queriesOf ({ tables: { accounts, oneTimeSecrets }, locking }: Engine) {
  const accountId = placeholder('accountId')
  return {
    lock: reading('', db => locking(db.select({ id: accounts.id }).from(accounts).where(eq(accounts.id, accountId)))),
    endReset: writing('end_reset', db => db.delete(oneTimeSecrets)
      .where(and(eq(oneTimeSecrets.accountId, accountId), eq(oneTimeSecrets.kind, 'reset')))),
    setPassword: writing('set_password', db => db.update(accounts)
      .set({ passwordHash: sql`${placeholder('passwordHash')}` })
      .where(and(eq(accounts.id, accountId), isNull(accounts.removedAt))).returning({ id: accounts.id }))
  }
}
