import { and, asc, count, eq, gt, lt, lte, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { FactorList, FirstFactor, FoundTotp } from './factor-records.ts'
import { createPasskeys } from './passkeys.ts'
import { isAny, matching, pipeline, placeholder, placeholders, prepared, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/**
 * Second factors: a part of the contract of {@link Metadata}. `factorCount` of an account is the number of its
 * factors: one-time codes are one, each passkey is one. Each write that adds, replaces or removes a factor changes
 * `factorVersion`, and ends the reset of the account. The first factor also deletes the sessions and access tokens of
 * the account, but not personal tokens, what was issued for them, and the session that stays, and no other network
 * than that of the factor stays known. With the last one the recovery codes go.
 */
export type FactorRepository = ReturnType<typeof createFactors>

export function createFactors (services: Services) {
  const { engine, factorChanges, secrets, read, write, removeSome } = services
  const { tables: { oneTimeSecrets, usedChallenges }, apply } = engine
  const { verifiedWrite } = factorChanges
  const queries = queriesOf(engine)

  /** Returns whether there was one. */
  const removeSecret = (accountId: number, state: 'on' | 'pending') =>
    query(queries.removeTotp, { accountId, state }, isAny)

  return {
    ...createPasskeys(services),

    list: read(function * (accountId: number): Rule<FactorList> {
      const [[totp], passkeys, [left]] = yield * pipeline(
        query(queries.totp, { accountId, state: 'on' }),
        query(queries.passkeys, { accountId }),
        query(queries.codes, { accountId })
      )
      return { totp: totp ?? null, passkeys, recoveryCodes: Number(left?.count) }
    }),

    findTotp: read(function * (accountId: number): Rule<FoundTotp> {
      const [[totp], [pending], now] = yield * pipeline(
        query(queries.totp, { accountId, state: 'on' }), query(queries.pending, { accountId }), engine.now()
      )
      return { totp, pending, now }
    }),

    /** Keeps a secret for `milliseconds`, in place of an earlier pending one. @throws credentials_wrong. */
    setPendingTotp: verifiedWrite(function * ({ account, now }, secret: string, milliseconds: number) {
      yield * removeSecret(account.id, 'pending')
      yield * query(queries.addTotp, {
        accountId: account.id, state: 'pending', secret, lastStep: 0, createdAt: now, expiresAt: now + milliseconds
      })
    }),

    /**
     * Turns on the pending secret in place of an earlier one; `step` counts as used. Returns whether it is the first
     * factor.
     * @throws credentials_wrong, factor_not_pending if it is pending no more.
     */
    confirmTotp: verifiedWrite(function * (
      { account, now }, { secret, step }: { secret: string, step: number }, first: FirstFactor
    ) {
      const [pending] = yield * query(queries.pending, { accountId: account.id })
      if (pending?.secret !== secret) throw new Problem('factor_not_pending')
      const isReplaced = yield * removeSecret(account.id, 'on')
      yield * removeSecret(account.id, 'pending')
      yield * query(queries.addTotp, {
        accountId: account.id, state: 'on', secret, lastStep: step, createdAt: now, expiresAt: null
      })
      return yield * factorChanges.added(account, isReplaced ? 0 : 1, first)
    }),

    /** Uses a time step, if it is later than the last one and the secret is still on. Returns whether it did. */
    useTotp: (accountId: number, totp: { secret: string, step: number }): Promise<boolean> =>
      apply(() => query(queries.useTotp, { accountId, ...totp }, isAny), accountId),

    /** @throws not_found, credentials_wrong. */
    removeTotp: verifiedWrite(function * ({ account }) {
      if (!(yield * removeSecret(account.id, 'on'))) throw new Problem('not_found')
      yield * factorChanges.removed(account)
    }),

    /** Removes all factors, with the recovery codes. For the operator. */
    removeAll: write(accountId => factorChanges.removeAll(accountId)),

    /** Replaces the recovery codes. @throws credentials_wrong. */
    setRecoveryCodes: verifiedWrite(function * ({ account }, hashes: readonly string[]) {
      yield * factorChanges.setRecoveryCodes(account.id, hashes)
    }),

    /** Uses a recovery code. Returns how many are left; undefined if the account has no such code. */
    useRecoveryCode: write(function * (accountId, hash: string) {
      const used = yield * query(queries.useCode, { accountId, hash })
      if (used.length === 0) return undefined
      const [left] = yield * query(queries.codes, { accountId })
      return Number(left?.count)
    }),

    /** Adds a confirmation code. @throws credentials_wrong. */
    addConfirmation: verifiedWrite(function * ({ account, now }, hash: string, milliseconds: number) {
      const of = { accountId: account.id, username: null, removesFactors: false }
      yield * secrets.add({ hash, kind: 'confirmation', ...of, expiresAt: now + milliseconds })
    }),

    /** Uses a confirmation code. Returns whether the account had it. */
    useConfirmation: (accountId: number, hash: string): Promise<boolean> =>
      apply(() => secrets.takeConfirmation(accountId, hash), accountId),

    /**
     * Deletes up to `limit` used challenges, confirmation codes and claims of all accounts that have expired; true if
     * there may be more.
     */
    async removeExpired (limit: number): Promise<boolean> {
      const expired = (table: typeof oneTimeSecrets | typeof usedChallenges) => lte(table.expiresAt, engine.clock)
      const areMore = await Promise.all([
        removeSome(oneTimeSecrets, oneTimeSecrets.hash, { matching: expired(oneTimeSecrets), limit }),
        removeSome(usedChallenges, usedChallenges.id, { matching: expired(usedChallenges), limit })
      ])
      return areMore.includes(true)
    }
  }
}

function queriesOf ({ tables: { totpSecrets: totp, passkeys, recoveryCodes }, clock }: Engine) {
  const accountId = placeholder('accountId')
  const isOfAccount = eq(totp.accountId, accountId)
  const isCodeOfAccount = eq(recoveryCodes.accountId, accountId)
  const columns = { secret: totp.secret, createdAt: totp.createdAt, lastStep: totp.lastStep }
  const step = sql`cast(${placeholder('step')} AS bigint)`
  return prepared('factors', {
    totp: db => db.select(columns).from(totp).where(and(isOfAccount, matching(totp, 'state'))),
    pending: db => db.select(columns).from(totp)
      .where(and(isOfAccount, eq(totp.state, 'pending'), gt(totp.expiresAt, clock))),
    addTotp: db => db.insert(totp).values({
      ...placeholders('state', 'secret', 'lastStep', 'createdAt', 'expiresAt'),
      accountId
    }),
    removeTotp: db => db.delete(totp).where(and(isOfAccount, matching(totp, 'state')))
      .returning({ state: totp.state }),
    useTotp: db => db.update(totp).set({ lastStep: step })
      .where(and(isOfAccount, eq(totp.state, 'on'), matching(totp, 'secret'), lt(totp.lastStep, step)))
      .returning({ state: totp.state }),
    passkeys: db => db.select().from(passkeys)
      .where(eq(passkeys.accountId, accountId)).orderBy(asc(passkeys.id)),
    codes: db => db.select({ count: count() }).from(recoveryCodes).where(isCodeOfAccount),
    useCode: db => db.delete(recoveryCodes)
      .where(and(isCodeOfAccount, matching(recoveryCodes, 'hash'))).returning({ hash: recoveryCodes.hash })
  })
}
