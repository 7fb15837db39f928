import { and, asc, eq, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { NewAttempt } from './attempt-records.ts'
import { accountColumns } from './columns.ts'
import type { Challenge } from './factor-records.ts'
import { type AccountRecord, type NewAccount, NO_PASSWORD } from './records.ts'
import { type Db, existing, first, isAny, query, refusedAs, type Rule } from './rule.ts'
import type { RowOf } from './schema.ts'
import type { Services } from './services.ts'

/** Identities of one account at most. */
export const MAX_IDENTITIES = 5

export type IdentityRecord = RowOf<'identities'>

/** What identifies somebody at a provider. Nothing else finds an account. */
export type ProviderSubject = Pick<IdentityRecord, 'issuer' | 'subject'>

export type NewIdentity = ProviderSubject & Pick<IdentityRecord, 'label'>

/**
 * Finds the names of at most twenty enabled accounts that neither a password nor an identity of this issuer opens. For
 * doctor, which has no repositories.
 */
export const findUnopened = (issuer: string) => sql<{ username: string }>`SELECT username FROM accounts
  WHERE password_hash = ${NO_PASSWORD} AND removed_at IS NULL AND disabled_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM identities i WHERE i.account_id = accounts.id AND i.issuer = ${issuer})
  ORDER BY id LIMIT 20`

/**
 * Identities at providers: a part of the contract of {@link Metadata}. An identity has one account. Each write that
 * adds or removes one changes `factorVersion` of the account, and ends its reset and its codes. A new password and the
 * first second factor end all identities of an account.
 */
export type IdentityRepository = ReturnType<typeof createIdentities>

export function createIdentities (
  { engine, owners, factorChanges, secrets, tokenRemover, addAccount, read, ownerWrite }: Services
) {
  const { tables, now, transact, transactFor, apply } = engine
  const { accounts, attempts, identities } = tables
  const { verifiedWrite } = factorChanges

  const isOf = (accountId: number) => eq(identities.accountId, accountId)
  const isSubject = ({ issuer, subject }: ProviderSubject) =>
    and(eq(identities.issuer, issuer), eq(identities.subject, subject))

  const found = (identity: ProviderSubject) => (db: Db) => db.select().from(identities).where(isSubject(identity))

  const list = (accountId: number) =>
    query(db => db.select().from(identities).where(isOf(accountId)).orderBy(asc(identities.id)))

  const insert = (accountId: number, identity: NewIdentity, time: number) => refusedAs('identity_taken', query(
    db => db.insert(identities).values({ ...identity, accountId, createdAt: time, lastUsedAt: time }).returning(),
    existing
  ))

  const noteSignIn = (id: number, time: number): Rule<AccountRecord> => query(
    db => db.update(accounts).set({ providerSignInAt: time }).where(eq(accounts.id, id))
      .returning(accountColumns(tables)),
    existing
  )

  return {
    /** Those of an account, by id. */
    list: read(list),

    /** The account of an identity, which may be disabled; undefined if there is none. */
    findAccount: read((identity: ProviderSubject) => query(db => db.select(accountColumns(tables)).from(accounts)
      .innerJoin(identities, eq(identities.accountId, accounts.id)).where(isSubject(identity)), first)),

    /** Uses a signed challenge. @throws oidc_refused if it has expired or was used. */
    useChallenge: (challenge: Challenge): Promise<void> => transactFor(`challenge ${challenge.id}`, function * () {
      yield * factorChanges.useChallenge(challenge, { time: yield * now(), refusal: 'oidc_refused' })
    }),

    /**
     * Returns the account of an identity, and sets the time of its sign-in and of the last use of the identity. One
     * that is disabled stays as it is. @throws not_found if there is none, or if it is not the `expected` one.
     */
    use: (identity: ProviderSubject, expectedId?: number): Promise<AccountRecord> => transactFor(
      `identity ${identity.issuer} ${identity.subject}`,
      function * () {
        const { id, accountId } = yield * query(found(identity), existing)
        const account = yield * owners.lock(accountId)
        if (expectedId !== undefined && accountId !== expectedId) throw new Problem('not_found')
        if (account.disabledAt !== null) return account
        const time = yield * now()
        // Removed meanwhile, perhaps.
        yield * query(db => db.update(identities).set({ lastUsedAt: time }).where(eq(identities.id, id)).returning(),
          existing)
        return yield * noteSignIn(accountId, time)
      }
    ),

    /**
     * Adds an account without a password, its identity, and the registration `attempt`. Uses the challenge, unless it
     * is refused.
     * @throws oidc_refused if the challenge has expired or was used, username_taken, identity_taken.
     */
    register: (
      identity: NewIdentity,
      { account, challenge, attempt }:
      { account: Omit<NewAccount, 'passwordHash'>, challenge: Challenge, attempt: NewAttempt }
    ): Promise<AccountRecord> => transact(function * () {
      const time = yield * now()
      yield * query(db => db.insert(attempts).values({ at: time, ...attempt }))
      yield * factorChanges.useChallenge(challenge, { time, refusal: 'oidc_refused' })
      const added = yield * addAccount({ ...account, passwordHash: NO_PASSWORD, providerSignInAt: time })
      yield * insert(added.id, identity, time)
      return added
    }),

    /** @throws identity_taken if an account has it, too_many_identities, credentials_wrong. */
    add: verifiedWrite(function * ({ account, time }, identity: NewIdentity): Rule<IdentityRecord> {
      const present = yield * list(account.id)
      if (yield * query(found(identity), isAny)) throw new Problem('identity_taken')
      if (present.length >= MAX_IDENTITIES) {
        throw new Problem('too_many_identities', {
          detail: `An account may have at most ${MAX_IDENTITIES} identities; remove one first.`
        })
      }
      const added = yield * insert(account.id, identity, time)
      yield * noteSignIn(account.id, time)
      yield * factorChanges.identityChanged(account)
      return added
    }),

    /** Also ends the sessions that a provider began. @throws not_found, credentials_wrong. */
    remove: verifiedWrite(function * ({ account }, id: number) {
      yield * query(
        db => db.delete(identities).where(and(isOf(account.id), eq(identities.id, id))).returning(), existing
      )
      yield * tokenRemover.removeOfProvider(account.id)
      yield * factorChanges.identityChanged(account)
    }),

    /** Adds a code that stands for an identity of the account. @throws credentials_wrong. */
    addCode: verifiedWrite(function * ({ account, time }, hash: string, milliseconds: number) {
      const of = { accountId: account.id, username: null, removesFactors: false }
      yield * secrets.add({ hash, kind: 'identity', ...of, expiresAt: time + milliseconds })
    }),

    /** Uses such a code. Returns the id of its account; undefined if there is no such code. */
    useCode: async (hash: string): Promise<number | undefined> =>
      (await apply(() => secrets.take('identity', hash)))?.accountId ?? undefined,

    /**
     * Removes the password of an account that has an identity of this issuer, with its factors and sessions. Its
     * personal tokens stay, as if the provider had just signed it in. False if it has no such identity. For the
     * operator.
     * @throws not_found.
     */
    removePassword: ownerWrite(function * ({ owner: { id }, time }, issuer: string): Rule<boolean> {
      const isIdentified = yield * query(
        db => db.select().from(identities).where(and(isOf(id), eq(identities.issuer, issuer))), isAny
      )
      if (!isIdentified) return false
      yield * query(db => db.update(accounts).set({ passwordHash: NO_PASSWORD, providerSignInAt: time })
        .where(eq(accounts.id, id)))
      yield * factorChanges.removeAll(id)
      yield * tokenRemover.removeSignedIn(id)
      return true
    })
  }
}
