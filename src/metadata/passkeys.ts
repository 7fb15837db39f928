import { and, eq, getTableColumns, isNull, lt } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import { accountColumns } from './columns.ts'
import { type Challenge, type FirstFactor, MAX_PASSKEYS, type NewPasskey } from './factor-records.ts'
import { existing, first, isAny, query, refusedAs } from './rule.ts'
import type { Services } from './services.ts'

/** The methods of the {@link FactorRepository} for passkeys. */
export function createPasskeys ({ engine, factorChanges, read }: Services) {
  const { tables, now, transactFor } = engine
  const { accounts, passkeys } = tables
  const { useChallenge, verifiedWrite } = factorChanges

  return {
    /**
     * @throws credentials_wrong, too_many_passkeys, passkey_invalid if the challenge has expired or was used, or the
     * credential is known.
     */
    addPasskey: verifiedWrite(function * (
      { account, time }, newPasskey: NewPasskey, challenge: Challenge, first: FirstFactor
    ) {
      const accountId = account.id
      const present = yield * query(db => db.select().from(passkeys).where(eq(passkeys.accountId, accountId)))
      if (present.length >= MAX_PASSKEYS) {
        throw new Problem('too_many_passkeys', {
          detail: `An account may have at most ${MAX_PASSKEYS} passkeys; remove one first.`
        })
      }
      yield * useChallenge(challenge, { time, refusal: 'passkey_invalid' })
      const passkey = yield * refusedAs('passkey_invalid', query(db => db.insert(passkeys)
        .values({ ...newPasskey, accountId, createdAt: time }).returning(), existing))
      return { passkey, isFirst: yield * factorChanges.added(account, 1, first) }
    }),

    findPasskey: read((credentialId: string) => query(db => db
      .select({ passkey: getTableColumns(passkeys), account: accountColumns(tables) }).from(passkeys)
      .innerJoin(accounts, and(eq(accounts.id, passkeys.accountId), isNull(accounts.removedAt)))
      .where(eq(passkeys.credentialId, credentialId)), first)),

    /**
     * Uses a challenge, and sets the counter and the time of last use. False, and only the challenge is used, if the
     * counter is not higher than before, unless both are 0, or if the passkey was removed.
     * @throws passkey_refused if the challenge has expired or was used.
     */
    usePasskey: ({ id, counter }: { id: number, counter: number }, challenge: Challenge): Promise<boolean> =>
      transactFor(`passkey ${id}`, function * () {
        const time = yield * now()
        yield * useChallenge(challenge, { time, refusal: 'passkey_refused' })
        // An authenticator that does not count always tells 0.
        const isHigher = counter === 0 ? eq(passkeys.counter, 0) : lt(passkeys.counter, counter)
        return yield * query(db => db.update(passkeys).set({ counter, lastUsedAt: time })
          .where(and(eq(passkeys.id, id), isHigher)).returning(), isAny)
      }),

    /** @throws not_found, credentials_wrong. */
    removePasskey: verifiedWrite(function * ({ account }, id: number) {
      yield * query(db => db.delete(passkeys)
        .where(and(eq(passkeys.accountId, account.id), eq(passkeys.id, id))).returning(), existing)
      yield * factorChanges.removed(account)
    })
  }
}
