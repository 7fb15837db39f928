import { and, asc, count, eq, gt, lt, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { FactorChanges } from './factor-changes.ts'
import type {
  Challenge, FactorList, FactorRepository, FirstFactor, FoundTotp, NewPasskey, PasskeyRecord
} from './factor-repository.ts'
import { createExpiryRemover } from './factor-expiry.ts'
import type { OneTimeSecrets } from './one-time-secrets.ts'
import type { PasskeyRules } from './passkeys.ts'
import type { AccountRecord, VerifiedAccount } from './records.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'

const { placeholder } = sql

interface FactorOptions {
  readonly engine: Engine
  readonly changes: FactorChanges
  readonly secrets: OneTimeSecrets
  readonly passkeys: PasskeyRules
}

export class FactorRules implements FactorRepository {
  readonly #engine: Engine
  readonly #changes: FactorChanges
  readonly #secrets: OneTimeSecrets
  readonly #passkeys: PasskeyRules
  readonly #queries: ReturnType<typeof queriesOf>
  readonly removeExpired: FactorRepository['removeExpired']

  constructor ({ engine, changes, secrets, passkeys }: FactorOptions) {
    this.#engine = engine
    this.#changes = changes
    this.#secrets = secrets
    this.#passkeys = passkeys
    this.#queries = queriesOf(engine)
    this.removeExpired = createExpiryRemover(engine)
  }

  list (accountId: number): Promise<FactorList> {
    return this.#engine.read(() => this.#list(accountId))
  }

  * #list (accountId: number): Rule<FactorList> {
    const { totp, codes } = this.#queries
    const [[on], passkeys, [left]] = yield * together(
      ask(totp, { accountId, state: 'on' }), this.#passkeys.ofAccount(accountId), ask(codes, { accountId })
    )
    return { totp: on ?? null, passkeys, recoveryCodes: Number(left?.count) }
  }

  findTotp (accountId: number): Promise<FoundTotp> {
    return this.#engine.read(() => this.#findTotp(accountId))
  }

  * #findTotp (accountId: number): Rule<FoundTotp> {
    const [[totp], [pending], now] = yield * together(
      ask(this.#queries.totp, { accountId, state: 'on' }), ask(this.#queries.pending, { accountId }), this.#engine.now()
    )
    return { totp, pending, now }
  }

  setPendingTotp (account: VerifiedAccount, secret: string, milliseconds: number): Promise<void> {
    return this.#engine.transactFor(account.id, () => this.#setPendingTotp(account, secret, milliseconds))
  }

  * #setPendingTotp (account: VerifiedAccount, secret: string, milliseconds: number): Rule<void> {
    const { now } = yield * this.#changes.begin(account)
    yield * this.#removeTotp(account.id, 'pending')
    yield * ask(this.#queries.addTotp, {
      accountId: account.id, state: 'pending', secret, lastStep: 0, createdAt: now, expiresAt: now + milliseconds
    })
  }

  /** Returns whether there was one. */
  #removeTotp (accountId: number, state: 'on' | 'pending') {
    return ask(this.#queries.removeTotp, { accountId, state }, removed => removed.length > 0)
  }

  confirmTotp (
    account: VerifiedAccount, totp: { secret: string, step: number }, first: FirstFactor
  ): Promise<boolean> {
    return this.#engine.transactFor(account.id, () => this.#confirmTotp(account, totp, first))
  }

  * #confirmTotp (
    account: VerifiedAccount, { secret, step }: { secret: string, step: number }, first: FirstFactor
  ): Rule<boolean> {
    const { account: locked, now } = yield * this.#changes.begin(account)
    const [pending] = yield * ask(this.#queries.pending, { accountId: account.id })
    if (pending?.secret !== secret) throw new Problem('factor_not_pending')
    const isReplaced = yield * this.#removeTotp(account.id, 'on')
    yield * this.#removeTotp(account.id, 'pending')
    yield * ask(this.#queries.addTotp, {
      accountId: account.id, state: 'on', secret, lastStep: step, createdAt: now, expiresAt: null
    })
    return yield * this.#changes.added(locked, isReplaced ? 0 : 1, first)
  }

  useTotp (accountId: number, totp: { secret: string, step: number }): Promise<boolean> {
    const { apply } = this.#engine
    return apply(() => ask(this.#queries.useTotp, { accountId, ...totp }, used => used.length > 0), accountId)
  }

  removeTotp (account: VerifiedAccount): Promise<void> {
    return this.#engine.transactFor(account.id, () => this.#turnOff(account))
  }

  * #turnOff (account: VerifiedAccount): Rule<void> {
    const { account: locked } = yield * this.#changes.begin(account)
    if (!(yield * this.#removeTotp(account.id, 'on'))) throw new Problem('not_found')
    yield * this.#changes.removed(locked)
  }

  addPasskey (
    account: VerifiedAccount, passkey: NewPasskey, challenge: Challenge, first: FirstFactor
  ): Promise<{ passkey: PasskeyRecord, isFirst: boolean }> {
    return this.#passkeys.add(account, passkey, challenge, first)
  }

  findPasskey (credentialId: string): Promise<{ passkey: PasskeyRecord, account: AccountRecord } | undefined> {
    return this.#passkeys.find(credentialId)
  }

  usePasskey (passkey: { id: number, counter: number }, challenge: Challenge): Promise<boolean> {
    return this.#passkeys.use(passkey, challenge)
  }

  removePasskey (account: VerifiedAccount, id: number): Promise<void> {
    return this.#passkeys.remove(account, id)
  }

  removeAll (accountId: number): Promise<void> {
    return this.#engine.transactFor(accountId, () => this.#changes.removeAll(accountId))
  }

  setRecoveryCodes (account: VerifiedAccount, hashes: readonly string[]): Promise<void> {
    return this.#engine.transactFor(account.id, () => this.#setRecoveryCodes(account, hashes))
  }

  * #setRecoveryCodes (account: VerifiedAccount, hashes: readonly string[]): Rule<void> {
    yield * this.#changes.begin(account)
    yield * this.#changes.setRecoveryCodes(account.id, hashes)
  }

  useRecoveryCode (accountId: number, hash: string): Promise<number | undefined> {
    return this.#engine.transactFor(accountId, () => this.#useRecoveryCode(accountId, hash))
  }

  * #useRecoveryCode (accountId: number, hash: string): Rule<number | undefined> {
    const used = yield * ask(this.#queries.useCode, { accountId, hash })
    if (used.length === 0) return undefined
    const [left] = yield * ask(this.#queries.codes, { accountId })
    return Number(left?.count)
  }

  addConfirmation (account: VerifiedAccount, hash: string, milliseconds: number): Promise<void> {
    return this.#engine.transactFor(account.id, () => this.#addConfirmation(account, hash, milliseconds))
  }

  * #addConfirmation (account: VerifiedAccount, hash: string, milliseconds: number): Rule<void> {
    const { now } = yield * this.#changes.begin(account)
    const of = { accountId: account.id, username: null, removesFactors: false }
    yield * this.#secrets.add({ hash, kind: 'confirmation', ...of, expiresAt: now + milliseconds })
  }

  useConfirmation (accountId: number, hash: string): Promise<boolean> {
    return this.#engine.apply(() => this.#secrets.takeConfirmation(accountId, hash), accountId)
  }

  listSecrets (exceptPrefix: string, limit: number): Promise<{ accountId: number, secret: string }[]> {
    const { tables: { totpSecrets }, read } = this.#engine
    const { accountId, secret } = totpSecrets
    return read(() => ask(reading('', db => db.select({ accountId, secret }).from(totpSecrets)
      .where(sql`substr(${secret}, 1, ${exceptPrefix.length}) <> ${exceptPrefix}`).orderBy(asc(accountId)).limit(limit))))
  }

  replaceSecret (accountId: number, secret: string, newSecret: string): Promise<void> {
    const { tables: { totpSecrets }, apply } = this.#engine
    return apply(() => ask(writing('', db => db.update(totpSecrets).set({ secret: newSecret })
      .where(and(eq(totpSecrets.accountId, accountId), eq(totpSecrets.secret, secret)))), {}, () => {}), accountId)
  }
}

function queriesOf ({ tables: { totpSecrets: totp, recoveryCodes }, clock }: Engine) {
  const accountId = placeholder('accountId')
  const isOfAccount = eq(totp.accountId, accountId)
  const isCodeOfAccount = eq(recoveryCodes.accountId, accountId)
  const columns = { secret: totp.secret, createdAt: totp.createdAt, lastStep: totp.lastStep }
  const step = sql`cast(${placeholder('step')} AS bigint)`
  return {
    totp: reading('totp', db => db.select(columns).from(totp).where(and(isOfAccount, eq(totp.state, placeholder('state'))))),
    pending: reading('pending_totp', db => db.select(columns).from(totp)
      .where(and(isOfAccount, eq(totp.state, 'pending'), gt(totp.expiresAt, clock)))),
    addTotp: writing('', db => db.insert(totp).values({
      accountId,
      state: placeholder('state'),
      secret: placeholder('secret'),
      lastStep: placeholder('lastStep'),
      createdAt: placeholder('createdAt'),
      expiresAt: placeholder('expiresAt')
    })),
    removeTotp: writing('', db => db.delete(totp).where(and(isOfAccount, eq(totp.state, placeholder('state'))))
      .returning({ state: totp.state })),
    useTotp: writing('use_totp', db => db.update(totp).set({ lastStep: step })
      .where(and(isOfAccount, eq(totp.state, 'on'), eq(totp.secret, placeholder('secret')), lt(totp.lastStep, step)))
      .returning({ state: totp.state })),
    codes: reading('count_recovery_codes', db => db.select({ count: count() }).from(recoveryCodes).where(isCodeOfAccount)),
    useCode: writing('use_recovery_code', db => db.delete(recoveryCodes)
      .where(and(isCodeOfAccount, eq(recoveryCodes.hash, placeholder('hash')))).returning({ hash: recoveryCodes.hash }))
  }
}
