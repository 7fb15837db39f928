import { and, eq, gt, inArray, lt, or, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Engine } from './engine.ts'
import type { AttemptRepository } from './metadata.ts'
import type { AttemptFilter } from './records.ts'
import { ask, reading, writing, type Rule } from './rule.ts'

const { placeholder } = sql

/** Claims of attempts under way, which each database keeps in its own way. */
export interface AttemptClaims extends Pick<AttemptRepository, 'claim' | 'finish'> {
  /** Deletes up to `limit` claims whose processes have ended. */
  readonly removeLapsed: (limit: number) => Rule<void>
}

/** Whether a row of attempts, or of claims, is one that a limit counts. */
export function isCounted (matching: AttemptFilter, table: Record<'kind' | 'network' | 'usernameKey' | 'isKnownNetwork', PgColumn>): SQL | undefined {
  return and(...Object.entries(matching).map(([field, value]) => eq(table[field as keyof typeof table], value)))
}

export function createAttemptRepository ({ tables, read, apply, transact, skippingLocked }: Engine, { claim, finish, removeLapsed }: AttemptClaims): AttemptRepository {
  const { accounts, accountNetworks, attempts } = tables
  const known = reading('known_network', db => db.select({ network: accountNetworks.network }).from(accountNetworks)
    .innerJoin(accounts, eq(accounts.id, accountNetworks.accountId))
    .where(and(eq(accounts.usernameKey, placeholder('usernameKey')), eq(accountNetworks.network, placeholder('network')))))

  return {
    claim,
    finish,

    removeOutside: ({ since, until, limit }) => transact(function * () {
      yield * removeLapsed(limit)
      const batch = yield * ask(reading('', db => skippingLocked(db.select({ id: attempts.id }).from(attempts)
        .where(or(lt(attempts.at, since), gt(attempts.at, until))).limit(limit))))
      yield * ask(writing('', db => db.delete(attempts).where(inArray(attempts.id, batch.map(({ id }) => id)))))
      return batch.length === limit
    }),

    isKnownNetwork: (usernameKey, network) => read(() => ask(known, { usernameKey, network }, found => found.length > 0)),

    addKnownNetwork: (accountId, network, at) => apply(function * () {
      const added = yield * ask(writing('', db => db.insert(accountNetworks).values({ accountId, network, firstAt: at }).onConflictDoNothing().returning()))
      return added.length > 0
    }, accountId)
  }
}
