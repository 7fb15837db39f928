import { and, eq, isNull, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { AccountRepository } from './accounts.ts'
import type { Engine } from './engine.ts'
import type { AccountRecord, NewAccount } from './records.ts'
import { placeholder, prepared, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** An invitation, or the reset of a password: `hash` is the SHA-256 of its secret, in hex. */
export interface NewClaim {
  readonly hash: string
  /** The account whose password is reset; null for an invitation. */
  readonly accountId: number | null
  /** The name that an invitation is for; null if the person chooses one. */
  readonly username: string | null
  /** Whether a reset also removes the factors. */
  readonly removesFactors: boolean
}

/**
 * Claims: a part of the contract of {@link Metadata}. Each is used once, until it expires. A reset ends with a change
 * of the password or of the factors of its account.
 */
export type ClaimRepository = ReturnType<typeof createClaims>

export function createClaims (
  { engine, secrets, factorChanges, tokenRemover, addAccount }: Services, accounts: Pick<AccountRepository, 'find'>
) {
  const { now, read, transact, transactFor } = engine
  const queries = queriesOf(engine)

  function * add (claim: NewClaim, milliseconds: number): Rule<number> {
    const expiresAt = (yield * now()) + milliseconds
    yield * secrets.add({ ...claim, kind: claim.accountId === null ? 'invitation' : 'reset', expiresAt })
    return expiresAt
  }

  return {
    /** Adds a claim; a reset replaces the earlier one of the account. Returns when it expires. */
    add (claim: NewClaim, milliseconds: number): Promise<number> {
      const { accountId } = claim
      if (accountId === null) return transact(() => add(claim, milliseconds))
      return transactFor(accountId, function * () {
        // Locked, so that of two at once one replaces the other.
        yield * query(queries.lock, { accountId })
        yield * query(queries.endReset, { accountId })
        return yield * add(claim, milliseconds)
      })
    },

    /** A claim that can be used, and the account of a reset. */
    async find (hash: string): Promise<{ claim: NewClaim, account: AccountRecord | undefined } | undefined> {
      const claim = await read(() => secrets.find(hash))
      if (claim === undefined || claim.kind === 'confirmation') return undefined
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
     * Uses a reset: sets the password, deletes all tokens of the account, as `accounts.setPasswordHash` does, and
     * removes the factors if the claim says so. @throws not_found.
     */
    async reset (hash: string, passwordHash: string): Promise<void> {
      const accountId = (await read(() => secrets.find(hash)))?.accountId
      if (typeof accountId !== 'number') throw new Problem('not_found')
      await tokenRemover.thinOut(accountId)
      await transactFor(accountId, function * () {
        // The update locks the account first, as all that changes it does.
        const [account] = yield * query(queries.setPassword, { accountId, passwordHash })
        const claim = yield * secrets.take('reset', hash)
        if (account === undefined || claim === undefined) throw new Problem('not_found')
        yield * tokenRemover.removeRest(accountId)
        yield * secrets.endOf(accountId)
        if (claim.removesFactors) yield * factorChanges.removeAll(accountId)
      })
    }
  }
}

function queriesOf ({ tables: { accounts, oneTimeSecrets }, locking }: Engine) {
  const accountId = placeholder('accountId')
  return {
    lock: prepared('lock_account_of_claim', db => locking(db.select({ id: accounts.id }).from(accounts).where(eq(accounts.id, accountId)))),
    endReset: prepared('end_reset', db => db.delete(oneTimeSecrets)
      .where(and(eq(oneTimeSecrets.accountId, accountId), eq(oneTimeSecrets.kind, 'reset')))),
    setPassword: prepared('set_password', db => db.update(accounts)
      .set({ passwordHash: sql`${placeholder('passwordHash')}` })
      .where(and(eq(accounts.id, accountId), isNull(accounts.removedAt))).returning({ id: accounts.id }))
  }
}
