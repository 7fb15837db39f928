import { and, eq, ne, sql } from 'drizzle-orm'
import { type FailureCode, Problem } from '../problems.ts'
import type { OneTimeSecrets } from './claims.ts'
import type { Engine } from './engine.ts'
import { type Challenge, type FirstFactor, isUnchanged } from './factor-records.ts'
import type { Owners } from './owners.ts'
import type { VerifiedAccount } from './records.ts'
import { pipeline, query, refusedAs, type Rule } from './rule.ts'
import type { TokenRemover } from './tokens.ts'

/** An account whose row is locked until the transaction ends. */
export interface LockedAccount extends VerifiedAccount { readonly factorCount: number }

/** A locked account, which is still as it was verified, and the time after any wait for it. */
export interface VerifiedContext { readonly account: LockedAccount, readonly time: number }

/**
 * What the changes of passwords, factors and identities have in common: the lock of the account, and what a change
 * means for the rest of it.
 */
export function createFactorChanges (
  { tables, now, transactFor }: Engine,
  { owners, tokenRemover, secrets }: { owners: Owners, tokenRemover: TokenRemover, secrets: OneTimeSecrets }
) {
  const { accounts, accountNetworks, identities, totpSecrets, passkeys, recoveryCodes, usedChallenges } = tables

  const count = (id: number, factorCount: number) => pipeline(
    query(db => db.update(accounts).set({ factorCount, factorVersion: sql`${accounts.factorVersion} + 1` })
      .where(eq(accounts.id, id))),
    secrets.endOf(id)
  )

  type Part = typeof totpSecrets | typeof passkeys | typeof recoveryCodes | typeof identities

  const removeFrom = (table: Part, accountId: number) =>
    query(db => db.delete(table).where(eq(table.accountId, accountId)))

  const setRecoveryCodes = (accountId: number, hashes: readonly string[]) => pipeline(
    removeFrom(recoveryCodes, accountId),
    query(db => db.insert(recoveryCodes).values(hashes.map(hash => ({ accountId, hash }))))
  )

  /** Uses a signed challenge, at the time of the transaction. @throws `refusal` if it has expired or was used. */
  function * useChallenge (
    challenge: Challenge, { time, refusal }: { time: number, refusal: FailureCode }
  ): Rule<void> {
    // Once it has expired, its row can be gone.
    if (time >= challenge.expiresAt) throw new Problem(refusal)
    yield * refusedAs(refusal, query(db => db.insert(usedChallenges).values(challenge)))
  }

  return {
    /** For a rule that changes a verified account. @throws credentials_wrong if it was changed since. */
    verifiedWrite: <Parameters extends unknown[], T>(
      rule: (context: VerifiedContext, ...values: Parameters) => Rule<T>
    ) => (verified: VerifiedAccount, ...values: Parameters): Promise<T> => transactFor(verified.id, function * () {
      const [account, time] = yield * pipeline(owners.findLocked(verified.id), now())
      if (account === undefined || !isUnchanged(account, verified)) throw new Problem('credentials_wrong')
      return yield * rule({ account, time }, ...values)
    }),

    /** After factors were added to, or replaced in, an account. Returns whether they are the first. */
    * added ({ id, factorCount }: LockedAccount, added: number, first: FirstFactor): Rule<boolean> {
      yield * count(id, factorCount + added)
      if (factorCount > 0) return false
      yield * setRecoveryCodes(id, first.recoveryCodes)
      yield * tokenRemover.removeSignedIn(id, first.sessionId)
      // A thief may have connected one, or made a network known, with the password alone.
      yield * removeFrom(identities, id)
      yield * query(db => db.delete(accountNetworks)
        .where(and(eq(accountNetworks.accountId, id), ne(accountNetworks.network, first.network ?? ''))))
      return true
    },

    /** After a factor of an account was removed. */
    * removed ({ id, factorCount }: LockedAccount): Rule<void> {
      yield * count(id, factorCount - 1)
      if (factorCount === 1) yield * removeFrom(recoveryCodes, id)
    },

    setRecoveryCodes,

    /** After an identity was added to an account or removed from it. */
    identityChanged: ({ id, factorCount }: LockedAccount) => count(id, factorCount),

    /**
     * After an account got another password: ends the rest of its tokens, the connections that it has allowed, its
     * reset and its identities, of which a thief may have connected one.
     */
    * passwordChanged (accountId: number): Rule<void> {
      yield * tokenRemover.removeRemaining(accountId)
      yield * pipeline(secrets.endOf(accountId), removeFrom(identities, accountId))
    },

    useChallenge,

    /** Removes all factors of an account. */
    * removeAll (accountId: number): Rule<void> {
      yield * count(accountId, 0)
      for (const table of [totpSecrets, passkeys, recoveryCodes]) yield * removeFrom(table, accountId)
    }
  }
}
