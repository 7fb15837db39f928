import { and, asc, count, eq, gt, isNull, lt, lte, or } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { FactorList, FirstFactor, FoundTotp } from './factor-records.ts'
import { createPasskeys } from './passkeys.ts'
import { existing, first, isAny, pipeline, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/**
 * Second factors: a part of the contract of {@link Metadata}. `factorCount` of an account is the number of its
 * factors: one-time codes are one, each passkey is one. Each write that adds, replaces or removes a factor changes
 * `factorVersion`, and ends the reset of the account. The first factor also deletes the sessions and access tokens of
 * the account, but not personal tokens, what was issued for them, and the session that stays. It deletes the identities
 * of the account, and no other network than that of the factor stays known. With the last one the recovery codes go.
 */
export type FactorRepository = ReturnType<typeof createFactors>

export function createFactors (services: Services) {
  const { engine, factorChanges, secrets, read, write, removeSome } = services
  const { tables: { oneTimeSecrets, passkeys, recoveryCodes, totpSecrets, usedChallenges }, clock, apply } = engine
  const { verifiedWrite } = factorChanges

  const isSecretOf = (accountId: number, state: 'on' | 'pending') =>
    and(eq(totpSecrets.accountId, accountId), eq(totpSecrets.state, state))

  /** The secret that is on, or the one that is pending and has not expired. */
  const findSecret = (accountId: number, state: 'on' | 'pending') => query(db => db.select().from(totpSecrets)
    .where(and(isSecretOf(accountId, state), or(isNull(totpSecrets.expiresAt), gt(totpSecrets.expiresAt, clock)))),
  first)

  const addSecret = (secret: typeof totpSecrets.$inferInsert) => query(db => db.insert(totpSecrets).values(secret))

  /** Returns whether there was one. */
  const removeSecret = (accountId: number, state: 'on' | 'pending') =>
    query(db => db.delete(totpSecrets).where(isSecretOf(accountId, state)).returning(), isAny)

  const countCodes = (accountId: number) => query(db => db.select({ left: count() }).from(recoveryCodes)
    .where(eq(recoveryCodes.accountId, accountId)), rows => existing(rows).left)

  return {
    ...createPasskeys(services),

    list: read(function * (accountId: number): Rule<FactorList> {
      const [totp = null, found, left] = yield * pipeline(
        findSecret(accountId, 'on'),
        query(db => db.select().from(passkeys).where(eq(passkeys.accountId, accountId)).orderBy(asc(passkeys.id))),
        countCodes(accountId)
      )
      return { totp, passkeys: found, recoveryCodes: left }
    }),

    findTotp: read(function * (accountId: number): Rule<FoundTotp> {
      const [totp, pending, now] = yield * pipeline(
        findSecret(accountId, 'on'), findSecret(accountId, 'pending'), engine.now()
      )
      return { totp, pending, now }
    }),

    /** Keeps a secret for `milliseconds`, in place of an earlier pending one. @throws credentials_wrong. */
    setPendingTotp: verifiedWrite(function * ({ account, time }, secret: string, milliseconds: number) {
      yield * removeSecret(account.id, 'pending')
      const expiresAt = time + milliseconds
      yield * addSecret({ accountId: account.id, state: 'pending', secret, createdAt: time, expiresAt })
    }),

    /**
     * Turns on the pending secret in place of an earlier one; `step` counts as used. Returns whether it is the first
     * factor.
     * @throws credentials_wrong, factor_not_pending if it is pending no more.
     */
    confirmTotp: verifiedWrite(function * (
      { account, time }, { secret, step }: { secret: string, step: number }, first: FirstFactor
    ) {
      const pending = yield * findSecret(account.id, 'pending')
      if (pending?.secret !== secret) throw new Problem('factor_not_pending')
      const isReplaced = yield * removeSecret(account.id, 'on')
      yield * removeSecret(account.id, 'pending')
      yield * addSecret({ accountId: account.id, state: 'on', secret, lastStep: step, createdAt: time })
      return yield * factorChanges.added(account, isReplaced ? 0 : 1, first)
    }),

    /** Uses a time step, if it is later than the last one and the secret is still on. Returns whether it did. */
    useTotp: (accountId: number, { secret, step }: { secret: string, step: number }): Promise<boolean> =>
      apply(() => query(db => db.update(totpSecrets).set({ lastStep: step })
        .where(and(isSecretOf(accountId, 'on'), eq(totpSecrets.secret, secret), lt(totpSecrets.lastStep, step)))
        .returning(), isAny), accountId),

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
      const isUsed = yield * query(db => db.delete(recoveryCodes)
        .where(and(eq(recoveryCodes.accountId, accountId), eq(recoveryCodes.hash, hash))).returning(), isAny)
      return isUsed ? yield * countCodes(accountId) : undefined
    }),

    /** Adds a confirmation code. @throws credentials_wrong. */
    addConfirmation: verifiedWrite(function * ({ account, time }, hash: string, milliseconds: number) {
      const of = { accountId: account.id, username: null, removesFactors: false }
      yield * secrets.add({ hash, kind: 'confirmation', ...of, expiresAt: time + milliseconds })
    }),

    /** Uses a confirmation code. Returns whether the account had it. */
    async useConfirmation (accountId: number, hash: string): Promise<boolean> {
      return await apply(() => secrets.take('confirmation', hash, accountId), accountId) !== undefined
    },

    /**
     * Deletes up to `limit` used challenges, confirmation codes and claims of all accounts that have expired; true if
     * there may be more.
     */
    async removeExpired (limit: number): Promise<boolean> {
      const expired = (table: typeof oneTimeSecrets | typeof usedChallenges) => lte(table.expiresAt, clock)
      const areMore = await Promise.all([
        removeSome(oneTimeSecrets, oneTimeSecrets.hash, { matching: expired(oneTimeSecrets), limit }),
        removeSome(usedChallenges, usedChallenges.id, { matching: expired(usedChallenges), limit })
      ])
      return areMore.includes(true)
    }
  }
}
