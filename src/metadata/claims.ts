import { and, eq, gt, isNull } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { AccountRepository } from './accounts.ts'
import type { Engine } from './engine.ts'
import type { AccountRecord, NewAccount } from './records.ts'
import { first, query, type Rule } from './rule.ts'
import type { RowOf } from './schema.ts'
import type { Services } from './services.ts'

/**
 * Invitations, resets and codes of a passkey or an identity, by the hash of their text. Each is used once, until it
 * expires.
 */
export type OneTimeSecret = RowOf<'oneTimeSecrets'>

export type OneTimeSecrets = ReturnType<typeof createOneTimeSecrets>

export function createOneTimeSecrets ({ tables: { oneTimeSecrets: secrets }, clock }: Engine) {
  const isValid = (hash: string) => and(eq(secrets.hash, hash), gt(secrets.expiresAt, clock))
  const isOf = (accountId: number) => eq(secrets.accountId, accountId)

  return {
    add: (secret: OneTimeSecret) => query(db => db.insert(secrets).values(secret)),

    /** The secret, if it has not expired. */
    find: (hash: string) => query(db => db.select().from(secrets).where(isValid(hash)), first),

    /** Uses a secret, which must be of this account if one is given; undefined if there is none. */
    take: (kind: OneTimeSecret['kind'], hash: string, accountId?: number) => query(db => db.delete(secrets)
      .where(and(isValid(hash), eq(secrets.kind, kind), accountId === undefined ? undefined : isOf(accountId)))
      .returning(), first),

    /**
     * Ends the reset and the confirmation codes of an account, or those of one kind: its password or its factors
     * change.
     */
    endOf: (accountId: number, kind?: OneTimeSecret['kind']) =>
      query(db => db.delete(secrets).where(and(isOf(accountId), kind && eq(secrets.kind, kind))))
  }
}

/** An invitation, whose `accountId` is null, or the reset of a password. */
export type NewClaim = Omit<OneTimeSecret, 'kind' | 'expiresAt'>

/**
 * Claims: a part of the contract of {@link Metadata}. Each is used once, until it expires. A reset ends with a change
 * of the password or of the factors of its account.
 */
export type ClaimRepository = ReturnType<typeof createClaims>

export function createClaims (
  { engine, secrets, factorChanges, tokenRemover, addAccount, ownerWrite }: Services,
  accounts: Pick<AccountRepository, 'find'>
) {
  const { tables: { accounts: table }, now, read, transact, transactFor } = engine

  function * insert (claim: NewClaim, expiresAt: number): Rule<number> {
    yield * secrets.add({ ...claim, kind: claim.accountId === null ? 'invitation' : 'reset', expiresAt })
    return expiresAt
  }

  const addInvitation = (claim: NewClaim, milliseconds: number) => transact(function * () {
    return yield * insert(claim, (yield * now()) + milliseconds)
  })

  // The account is locked, so that of two at once one replaces the other.
  const addReset = ownerWrite(function * ({ owner, time }, claim: NewClaim, milliseconds: number) {
    yield * secrets.endOf(owner.id, 'reset')
    return yield * insert(claim, time + milliseconds)
  })

  return {
    /**
     * Adds a claim; a reset replaces the earlier one of the account. Returns when it expires. @throws not_found if the
     * account of a reset was deleted.
     */
    add: (claim: NewClaim, milliseconds: number): Promise<number> => claim.accountId === null
      ? addInvitation(claim, milliseconds)
      : addReset(claim.accountId, claim, milliseconds),

    /** A claim that can be used, and the account of a reset. */
    async find (hash: string): Promise<{ claim: NewClaim, account: AccountRecord | undefined } | undefined> {
      const claim = await read(() => secrets.find(hash))
      if (claim?.kind !== 'invitation' && claim?.kind !== 'reset') return undefined
      if (claim.accountId === null) return { claim, account: undefined }
      const account = await accounts.find(claim.accountId)
      return account && { claim, account }
    },

    /** Uses an invitation and adds the account. @throws not_found, username_taken. */
    invite: (hash: string, account: NewAccount): Promise<AccountRecord> => transact(function * () {
      if ((yield * secrets.take('invitation', hash)) === undefined) throw new Problem('not_found')
      return yield * addAccount(account)
    }),

    /**
     * Uses a reset: sets the password, deletes tokens and identities of the account, as `accounts.setPasswordHash`
     * does, and removes the factors if the claim says so. @throws not_found.
     */
    async reset (hash: string, passwordHash: string): Promise<void> {
      const accountId = (await read(() => secrets.find(hash)))?.accountId
      if (typeof accountId !== 'number') throw new Problem('not_found')
      await tokenRemover.removeInBatches(accountId)
      await transactFor(accountId, function * () {
        // The update locks the account first, as all that changes it does.
        const [account] = yield * query(db => db.update(table).set({ passwordHash })
          .where(and(eq(table.id, accountId), isNull(table.removedAt))).returning())
        const claim = yield * secrets.take('reset', hash)
        if (account === undefined || claim === undefined) throw new Problem('not_found')
        yield * factorChanges.passwordChanged(accountId)
        if (claim.removesFactors) yield * factorChanges.removeAll(accountId)
      })
    }
  }
}
