import { and, eq, gt, inArray, lt, ne, or, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { AttemptFilter, AttemptRange, AttemptRepository } from './attempt-repository.ts'
import type { Engine } from './engine.ts'
import type { FactorState } from './records.ts'
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

export class AttemptRules implements AttemptRepository {
  readonly claim: AttemptClaims['claim']
  readonly finish: AttemptClaims['finish']
  readonly #engine: Engine
  readonly #removeLapsed: AttemptClaims['removeLapsed']
  readonly #known: ReturnType<typeof knownNetwork>

  constructor (engine: Engine, claims: AttemptClaims) {
    this.#engine = engine
    this.claim = claims.claim
    this.finish = claims.finish
    this.#removeLapsed = claims.removeLapsed
    this.#known = knownNetwork(engine)
  }

  removeOutside (range: AttemptRange): Promise<boolean> {
    return this.#engine.transact(() => this.#removeOutside(range))
  }

  * #removeOutside ({ since, codesSince, until, limit }: AttemptRange): Rule<boolean> {
    const { tables: { attempts }, skippingLocked } = this.#engine
    yield * this.#removeLapsed(limit)
    const isPast = or(ne(attempts.kind, 'second_factor'), lt(attempts.at, codesSince))
    const batch = yield * ask(reading('', db => skippingLocked(db.select({ id: attempts.id }).from(attempts)
      .where(or(and(lt(attempts.at, since), isPast), gt(attempts.at, until))).limit(limit))))
    yield * ask(writing('', db => db.delete(attempts).where(inArray(attempts.id, batch.map(({ id }) => id)))))
    return batch.length === limit
  }

  isKnownNetwork (usernameKey: string, network: string): Promise<boolean> {
    return this.#engine.read(() => ask(this.#known, { usernameKey, network }, found => found.length > 0))
  }

  addKnownNetwork (account: FactorState, network: string, at: number): Promise<boolean> {
    const { tables: { accounts, accountNetworks }, apply } = this.#engine
    const { id, factorVersion } = account
    const row = { accountId: accounts.id, network: sql`cast(${network} AS text)`, firstAt: sql`cast(${at} AS bigint)` }
    return apply(() => ask(writing('', db => db.insert(accountNetworks).select(
      db.select(row as never).from(accounts).where(and(eq(accounts.id, id), eq(accounts.factorVersion, factorVersion)))
    ).onConflictDoNothing().returning()), {}, added => added.length > 0), id)
  }
}

function knownNetwork ({ tables: { accounts, accountNetworks } }: Engine) {
  return reading('known_network', db => db.select({ network: accountNetworks.network }).from(accountNetworks)
    .innerJoin(accounts, eq(accounts.id, accountNetworks.accountId))
    .where(and(eq(accounts.usernameKey, placeholder('usernameKey')), eq(accountNetworks.network, placeholder('network')))))
}
