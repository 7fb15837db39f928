import { and, eq, gt, lt, ne, or, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type {
  AttemptClaim, AttemptFilter, AttemptLimit, AttemptOutcome, AttemptRange, NewAttempt
} from './attempt-records.ts'
import type { FactorState } from './records.ts'
import { isAny, query } from './rule.ts'
import type { Services } from './services.ts'

/** Claims of attempts under way, which each database keeps in its own way. */
export interface AttemptClaims {
  /**
   * Decides whether an attempt may go on, and if so claims its place under each limit, in one transaction: parallel
   * attempts can't exceed a limit. A claim lapses with the process that made it. Attempts in the future are from before
   * the clock was set back, and do not count.
   */
  claim (attempt: NewAttempt, limits: readonly AttemptLimit[]): Promise<AttemptClaim>
  /**
   * Ends a claim and applies its outcome, in one transaction: a failure is recorded, a success deletes the failures
   * of its kind for that username from that network. A failure that can't be recorded (full disk) still counts.
   */
  finish (claimId: number, outcome: AttemptOutcome): Promise<void>
  /** Deletes up to `limit` claims whose processes have ended. */
  readonly removeLapsed: (limit: number) => Promise<void>
}

/** Whether a row of attempts, or of claims, is one that a limit counts. */
export function isCounted (
  matching: AttemptFilter, table: Record<'kind' | 'network' | 'usernameKey' | 'isKnownNetwork', PgColumn>
): SQL | undefined {
  return and(...Object.entries(matching).map(([field, value]) => eq(table[field as keyof typeof table], value)))
}

/**
 * Failed sign-ins, wrong codes and registrations, which limits count, and the networks that accounts are known to use:
 * a part of the contract of {@link Metadata}.
 */
export type AttemptRepository = ReturnType<typeof createAttempts>

export function createAttempts ({ engine, read, removeSome }: Services, { removeLapsed, ...claims }: AttemptClaims) {
  const { tables: { accounts, accountNetworks, attempts }, apply } = engine

  return {
    ...claims,

    /**
     * Deletes up to `limit` attempts before `since` or after `until`, wrong codes before `codesSince`, which is
     * earlier; true if there may be more.
     */
    async removeOutside ({ since, codesSince, until, limit }: AttemptRange): Promise<boolean> {
      await removeLapsed(limit)
      const isPast = or(ne(attempts.kind, 'second_factor'), lt(attempts.at, codesSince))
      const matching = or(and(lt(attempts.at, since), isPast), gt(attempts.at, until))
      return removeSome(attempts, attempts.id, { matching, limit })
    },

    isKnownNetwork: read((usernameKey: string, network: string) =>
      query(db => db.select({ network: accountNetworks.network }).from(accountNetworks)
        .innerJoin(accounts, eq(accounts.id, accountNetworks.accountId))
        .where(and(eq(accounts.usernameKey, usernameKey), eq(accountNetworks.network, network))), isAny)),

    /** Records that an account signed in from a network; true if it is the first time. */
    addKnownNetwork ({ id, factorVersion }: FactorState, network: string, at: number): Promise<boolean> {
      const isStill = and(eq(accounts.id, id), eq(accounts.factorVersion, factorVersion))
      const row = {
        accountId: accounts.id, network: sql`cast(${network} AS text)`, firstAt: sql`cast(${at} AS bigint)`
      }
      return apply(() => query(db => db.insert(accountNetworks).select(
        db.select(row as never).from(accounts).where(isStill)
      ).onConflictDoNothing().returning(), isAny), id)
    }
  }
}
