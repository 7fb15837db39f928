import { and, eq, gt, lt, ne, or, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type {
  AttemptFilter, AttemptLimit, AttemptOutcome, AttemptRange, BegunAttempt, NewAttempt
} from './attempt-records.ts'
import type { FactorState } from './records.ts'
import { isAny, query } from './rule.ts'
import type { Services } from './services.ts'

/** Attempts whose outcome is open, which each database keeps in its own way. */
export interface OpenAttempts {
  /**
   * Decides whether an attempt may go on, and if so counts it as open under each limit, in one transaction: parallel
   * attempts can't exceed a limit. It ends with the process that began it. Attempts in the future are from before the
   * clock was set back, and do not count.
   */
  begin (attempt: NewAttempt, limits: readonly AttemptLimit[]): Promise<BegunAttempt>
  /**
   * Ends an attempt and applies its outcome, in one transaction: a failure is recorded, a success deletes the failures
   * of its kind for that username from that network. A failure that can't be recorded (full disk) still counts.
   */
  finish (id: number, outcome: AttemptOutcome): Promise<void>
  /** Deletes up to `limit` open attempts whose processes have ended. */
  readonly removeLapsed: (limit: number) => Promise<void>
}

/** Whether a row of attempts, or of open ones, is one that a limit counts. */
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

export function createAttempts ({ engine, read, removeSome }: Services, { removeLapsed, ...open }: OpenAttempts) {
  const { tables: { accounts, accountNetworks, attempts }, apply } = engine

  return {
    ...open,

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
