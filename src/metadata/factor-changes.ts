import { and, eq, ne, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { type FirstFactor, isUnchanged } from './factor-records.ts'
import type { OneTimeSecrets } from './claims.ts'
import type { Owners } from './owners.ts'
import type { VerifiedAccount } from './records.ts'
import { type Db, matching, pipeline, placeholder, plus, prepared, query, type Rule } from './rule.ts'
import type { TokenRemover } from './tokens.ts'

/** An account whose row is locked until the transaction ends. */
export interface LockedAccount extends VerifiedAccount { readonly factorCount: number }

/** A locked account, which is still as it was verified, and the time after any wait for it. */
export interface VerifiedContext { readonly account: LockedAccount, readonly now: number }

/** What the changes of factors have in common: the lock of the account, and what a change means for the rest of it. */
export type FactorChanges = ReturnType<typeof createFactorChanges>

export function createFactorChanges (
  engine: Engine,
  { owners, tokenRemover, secrets }: { owners: Owners, tokenRemover: TokenRemover, secrets: OneTimeSecrets }
) {
  const { tables: { recoveryCodes }, transactFor } = engine
  const queries = queriesOf(engine)

  const count = (accountId: number, added: number) =>
    pipeline(queries.count({ accountId, added }), secrets.endOf(accountId))

  const setRecoveryCodes = (accountId: number, hashes: readonly string[]) => pipeline(
    queries.removeCodes({ accountId }),
    query(db => db.insert(recoveryCodes).values(hashes.map(hash => ({ accountId, hash }))))
  )

  return {
    /** For a rule that changes a verified account. @throws credentials_wrong if it was changed since. */
    verifiedWrite: <Parameters extends unknown[], T>(
      rule: (context: VerifiedContext, ...values: Parameters) => Rule<T>
    ) => (verified: VerifiedAccount, ...values: Parameters): Promise<T> => transactFor(verified.id, function * () {
      const [account, now] = yield * pipeline(owners.credentials(verified.id), engine.now())
      if (account === undefined || !isUnchanged(account, verified)) throw new Problem('credentials_wrong')
      return yield * rule({ account, now }, ...values)
    }),

    /** After factors were added to, or replaced in, an account. Returns whether they are the first. */
    * added ({ id, factorCount }: LockedAccount, added: number, first: FirstFactor): Rule<boolean> {
      yield * count(id, added)
      if (factorCount > 0) return false
      yield * setRecoveryCodes(id, first.recoveryCodes)
      yield * tokenRemover.removeSignedIn(id, first.sessionId)
      yield * queries.forgetNetworks({ accountId: id, network: first.network ?? '' })
      return true
    },

    /** After a factor of an account was removed. */
    * removed ({ id, factorCount }: LockedAccount): Rule<void> {
      yield * count(id, -1)
      if (factorCount === 1) yield * queries.removeCodes({ accountId: id })
    },

    setRecoveryCodes,

    /** Removes all factors of an account. */
    * removeAll (accountId: number): Rule<void> {
      const { clear, removeTotp, removePasskeys, removeCodes } = queries
      const of = { accountId }
      yield * pipeline(
        clear(of), removeTotp(of), removePasskeys(of), removeCodes(of),
        secrets.endOf(accountId)
      )
    }
  }
}

function queriesOf ({ tables }: Engine) {
  const { accounts, accountNetworks, totpSecrets, passkeys, recoveryCodes } = tables
  const isAccount = eq(accounts.id, placeholder('accountId'))
  const removeFrom = (table: typeof totpSecrets | typeof passkeys | typeof recoveryCodes) => (db: Db) =>
    db.delete(table).where(matching(table, 'accountId'))
  const factorVersion = sql`${accounts.factorVersion} + 1`
  return prepared('factor_changes', {
    count: db => db.update(accounts).set({
      factorCount: plus(accounts.factorCount, 'added'), factorVersion
    }).where(isAccount),
    clear: db => db.update(accounts).set({ factorCount: 0, factorVersion }).where(isAccount),
    // A thief may have made them known with the password alone.
    forgetNetworks: db => db.delete(accountNetworks)
      .where(and(matching(accountNetworks, 'accountId'), ne(accountNetworks.network, placeholder('network')))),
    removeTotp: removeFrom(totpSecrets),
    removePasskeys: removeFrom(passkeys),
    removeCodes: removeFrom(recoveryCodes)
  })
}
