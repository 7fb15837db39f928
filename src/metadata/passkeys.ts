import { and, count, eq, getTableColumns, isNull, lt, or, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import { accountColumns } from './columns.ts'
import type { Engine } from './engine.ts'
import {
  type Challenge, type FirstFactor, MAX_PASSKEYS, type NewPasskey, type PasskeyRecord
} from './factor-records.ts'
import type { AccountRecord } from './records.ts'
import { first, matching, placeholder, placeholders, prepared, Refusal, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** The methods of the {@link FactorRepository} for passkeys. */
export function createPasskeys ({ engine, factorChanges, read }: Services) {
  const queries = queriesOf(engine)
  const { verifiedWrite } = factorChanges

  /** @throws `refusal` if the challenge has expired or was used. */
  function * useChallenge (
    challenge: Challenge, { now, refusal }: { now: number, refusal: 'passkey_invalid' | 'passkey_refused' }
  ): Rule<void> {
    // Once it has expired, its row can be gone.
    if (now >= challenge.expiresAt) throw new Problem(refusal)
    try {
      yield * queries.useChallenge({ ...challenge })
    } catch (error) {
      throw error instanceof Refusal ? new Problem(refusal, { cause: error }) : error
    }
  }

  /** @throws passkey_invalid if an account has the credential. */
  function * insert (values: Record<string, unknown>): Rule<PasskeyRecord> {
    try {
      const [added] = yield * queries.insert(values)
      return added as PasskeyRecord
    } catch (error) {
      throw error instanceof Refusal ? new Problem('passkey_invalid', { cause: error }) : error
    }
  }

  return {
    /**
     * @throws credentials_wrong, too_many_passkeys, passkey_invalid if the challenge has expired or was used, or the
     * credential is known.
     */
    addPasskey: verifiedWrite(function * (
      { account, now }, newPasskey: NewPasskey, challenge: Challenge, first: FirstFactor
    ) {
      const [present] = yield * queries.count({ accountId: account.id })
      if (Number(present?.count) >= MAX_PASSKEYS) {
        throw new Problem('too_many_passkeys', { detail: `An account may have at most ${MAX_PASSKEYS} passkeys; remove one first.` })
      }
      yield * useChallenge(challenge, { now, refusal: 'passkey_invalid' })
      const passkey = yield * insert({ ...newPasskey, accountId: account.id, createdAt: now })
      return { passkey, isFirst: yield * factorChanges.added(account, 1, first) }
    }),

    findPasskey: read((credentialId: string): Rule<{ passkey: PasskeyRecord, account: AccountRecord } | undefined> =>
      queries.find({ credentialId }, first)),

    /**
     * Uses a challenge, and sets the counter and the time of last use. False, and only the challenge is used, if the
     * counter is not higher than before, unless both are 0, or if the passkey was removed.
     * @throws passkey_refused if the challenge has expired or was used.
     */
    usePasskey: ({ id, counter }: { id: number, counter: number }, challenge: Challenge): Promise<boolean> =>
      engine.transactFor(`passkey ${id}`, function * () {
        const now = yield * engine.now()
        yield * useChallenge(challenge, { now, refusal: 'passkey_refused' })
        const [used] = yield * queries.use({ id, counter, now })
        return used !== undefined
      }),

    /** @throws not_found, credentials_wrong. */
    removePasskey: verifiedWrite(function * ({ account }, id: number) {
      const [removed] = yield * queries.remove({ accountId: account.id, id })
      if (removed === undefined) throw new Problem('not_found')
      yield * factorChanges.removed(account)
    })
  }
}

function queriesOf ({ tables }: Engine) {
  const { accounts, passkeys, usedChallenges } = tables
  const isOfAccount = matching(passkeys, 'accountId')
  const isThis = matching(passkeys, 'id')
  const counter = sql`cast(${placeholder('counter')} AS bigint)`
  return prepared('passkeys', {
    count: db => db.select({ count: count() }).from(passkeys).where(isOfAccount),
    find: db => db.select({ passkey: getTableColumns(passkeys), account: accountColumns(tables) }).from(passkeys)
      .innerJoin(accounts, and(eq(accounts.id, passkeys.accountId), isNull(accounts.removedAt)))
      .where(matching(passkeys, 'credentialId')),
    useChallenge: db => db.insert(usedChallenges)
      .values(placeholders('id', 'expiresAt')),
    insert: db => db.insert(passkeys).values(placeholders('accountId', 'name', 'credentialId', 'publicKey', 'userHandle', 'counter', 'createdAt')).returning(),
    // An authenticator that does not count always tells 0.
    use: db => db.update(passkeys)
      .set({ counter, lastUsedAt: sql`cast(${placeholder('now')} AS bigint)` })
      .where(and(isThis, or(lt(passkeys.counter, counter), and(eq(passkeys.counter, 0), eq(counter, 0)))))
      .returning({ id: passkeys.id }),
    remove: db => db.delete(passkeys).where(and(isOfAccount, isThis)).returning({ id: passkeys.id })
  })
}
