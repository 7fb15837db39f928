import { and, asc, count, eq, getTableColumns, isNull, lt, or, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import { accountColumns } from './account-rows.ts'
import type { Engine } from './engine.ts'
import type { FactorChanges } from './factor-changes.ts'
import { type Challenge, type FirstFactor, MAX_PASSKEYS, type NewPasskey, type PasskeyRecord } from './factor-repository.ts'
import type { AccountRecord, VerifiedAccount } from './records.ts'
import { type Ask, ask, reading, Refusal, writing, type Rule } from './rule.ts'

const { placeholder } = sql

/** The passkeys of accounts; `FactorRepository` says what they do. */
export class PasskeyRules {
  readonly #engine: Engine
  readonly #changes: FactorChanges
  readonly #queries: ReturnType<typeof queriesOf>

  constructor (engine: Engine, changes: FactorChanges) {
    this.#engine = engine
    this.#changes = changes
    this.#queries = queriesOf(engine)
  }

  ofAccount (accountId: number): Ask<PasskeyRecord[]> {
    return ask(this.#queries.ofAccount, { accountId }, passkeys => passkeys)
  }

  add (
    account: VerifiedAccount, passkey: NewPasskey, challenge: Challenge, first: FirstFactor
  ): Promise<{ passkey: PasskeyRecord, isFirst: boolean }> {
    return this.#engine.transactFor(account.id, () => this.#add(account, passkey, challenge, first))
  }

  * #add (
    account: VerifiedAccount, passkey: NewPasskey, challenge: Challenge, first: FirstFactor
  ): Rule<{ passkey: PasskeyRecord, isFirst: boolean }> {
    const { account: locked, now } = yield * this.#changes.begin(account)
    const [present] = yield * ask(this.#queries.count, { accountId: account.id })
    if (Number(present?.count) >= MAX_PASSKEYS) {
      throw new Problem('too_many_passkeys', { detail: `An account may have at most ${MAX_PASSKEYS} passkeys; remove one first.` })
    }
    yield * this.#useChallenge(challenge, { now, refusal: 'passkey_invalid' })
    const added = yield * this.#insert({ ...passkey, accountId: account.id, createdAt: now })
    return { passkey: added, isFirst: yield * this.#changes.added(locked, 1, first) }
  }

  /** @throws `refusal` if the challenge has expired or was used. */
  * #useChallenge (
    challenge: Challenge, { now, refusal }: { now: number, refusal: 'passkey_invalid' | 'passkey_refused' }
  ): Rule<void> {
    // Once it has expired, its row can be gone.
    if (now >= challenge.expiresAt) throw new Problem(refusal)
    try {
      yield * ask(this.#queries.useChallenge, { ...challenge })
    } catch (error) {
      throw error instanceof Refusal ? new Problem(refusal, { cause: error }) : error
    }
  }

  /** @throws passkey_invalid if an account has the credential. */
  * #insert (values: Record<string, unknown>): Rule<PasskeyRecord> {
    try {
      const [added] = yield * ask(this.#queries.insert, values)
      return added as PasskeyRecord
    } catch (error) {
      throw error instanceof Refusal ? new Problem('passkey_invalid', { cause: error }) : error
    }
  }

  find (credentialId: string): Promise<{ passkey: PasskeyRecord, account: AccountRecord } | undefined> {
    return this.#engine.read(() => ask(this.#queries.find, { credentialId }, ([found]) => found))
  }

  use ({ id, counter }: { id: number, counter: number }, challenge: Challenge): Promise<boolean> {
    return this.#engine.transactFor(`passkey ${id}`, () => this.#use(id, counter, challenge))
  }

  * #use (id: number, counter: number, challenge: Challenge): Rule<boolean> {
    const now = yield * this.#engine.now()
    yield * this.#useChallenge(challenge, { now, refusal: 'passkey_refused' })
    const [used] = yield * ask(this.#queries.use, { id, counter, now })
    return used !== undefined
  }

  remove (account: VerifiedAccount, id: number): Promise<void> {
    return this.#engine.transactFor(account.id, () => this.#remove(account, id))
  }

  * #remove (account: VerifiedAccount, id: number): Rule<void> {
    const { account: locked } = yield * this.#changes.begin(account)
    const [removed] = yield * ask(this.#queries.remove, { accountId: account.id, id })
    if (removed === undefined) throw new Problem('not_found')
    yield * this.#changes.removed(locked)
  }
}

function queriesOf ({ tables }: Engine) {
  const { accounts, passkeys, usedChallenges } = tables
  const isOfAccount = eq(passkeys.accountId, placeholder('accountId'))
  const isThis = eq(passkeys.id, placeholder('id'))
  const counter = sql`cast(${placeholder('counter')} AS bigint)`
  return {
    ofAccount: reading('passkeys_of_account', db => db.select().from(passkeys).where(isOfAccount).orderBy(asc(passkeys.id))),
    count: reading('count_passkeys', db => db.select({ count: count() }).from(passkeys).where(isOfAccount)),
    find: reading('passkey', db => db.select({ passkey: getTableColumns(passkeys), account: accountColumns(tables) }).from(passkeys)
      .innerJoin(accounts, and(eq(accounts.id, passkeys.accountId), isNull(accounts.removedAt)))
      .where(eq(passkeys.credentialId, placeholder('credentialId')))),
    useChallenge: writing('use_challenge', db => db.insert(usedChallenges)
      .values({ id: placeholder('id'), expiresAt: placeholder('expiresAt') })),
    insert: writing('', db => db.insert(passkeys).values({
      accountId: placeholder('accountId'),
      name: placeholder('name'),
      credentialId: placeholder('credentialId'),
      publicKey: placeholder('publicKey'),
      userHandle: placeholder('userHandle'),
      counter: placeholder('counter'),
      createdAt: placeholder('createdAt')
    }).returning()),
    // An authenticator that does not count always tells 0.
    use: writing('use_passkey', db => db.update(passkeys)
      .set({ counter, lastUsedAt: sql`cast(${placeholder('now')} AS bigint)` })
      .where(and(isThis, or(lt(passkeys.counter, counter), and(eq(passkeys.counter, 0), eq(counter, 0)))))
      .returning({ id: passkeys.id })),
    remove: writing('', db => db.delete(passkeys).where(and(isOfAccount, isThis)).returning({ id: passkeys.id }))
  }
}
