import { and, asc, type Column, eq, gt, isNull, ne, or, type SQL, sql } from 'drizzle-orm'
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core'
import { Problem } from '../problems.ts'
import { createPurge } from './account-purge.ts'
import { accountColumns } from './columns.ts'
import type { NewAttempt } from './attempt-records.ts'
import type { Engine } from './engine.ts'
import {
  type AccountRecord, type NewAccount, NO_LIMIT, type Quota, type Usage, type UsageMismatch, usageUnits,
  type VerifiedAccount
} from './records.ts'
import { type Db, existing, first, matching, pipeline, prepared, query, refusedAs, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'
import type { Services } from './services.ts'

/** What adds an account in the current transaction. @throws username_taken. */
export function createAccountAdder ({ tables, now }: Engine) {
  return function * (account: NewAccount): Rule<AccountRecord> {
    const time = yield * now()
    return yield * refusedAs('username_taken', query(db => db.insert(tables.accounts)
      .values({ createdAt: time, ...account }).returning(accountColumns(tables)), existing))
  }
}

/** Sums over all accounts that are not deleted. */
export interface Totals {
  readonly accounts: number
  readonly files: number
  readonly folders: number
  readonly bytes: number
  /** Of versions and trash. */
  readonly keptBytes: number
  /** Accounts that have used nine tenths of their own limits, or else of `quota`. */
  readonly accountsNearQuota: number
}

/** Accounts: a part of the contract of {@link Metadata}. One that was removed is not found, and its name is free. */
export type AccountRepository = ReturnType<typeof createAccounts>

export function createAccounts (services: Services) {
  const { engine, longRunning, owners, tokenRemover, factorChanges, addAccount, notify, read } = services
  const { tables, now, transact, transactFor, apply } = engine
  const { accounts, attempts, identities } = tables
  const queries = queriesOf(engine)

  const change = (id: number, set: PgUpdateSetSource<Tables['accounts']>): Promise<void> =>
    apply(() => query(db => db.update(accounts).set(set).where(eq(accounts.id, id)), () => {}), id)

  // Raw SQL: in a query of one table Drizzle omits the table's name, and `id` would be the file's.
  const count = (table: string) =>
    sql`(SELECT count(*) FROM ${sql.raw(table)} r WHERE r.owner_id = accounts.id)`.mapWith(Number)
  const sum = (table: string) =>
    sql`(SELECT cast(coalesce(sum(r.size), 0) AS bigint) FROM ${sql.raw(table)} r WHERE r.owner_id = accounts.id)`
  const withThumbnails = (table: string, isTheirs: SQL) =>
    sql`(${sum(table)} + (SELECT cast(coalesce(sum(p.size), 0) AS bigint) FROM pictures p
      WHERE p.owner_id = accounts.id AND ${isTheirs}))`.mapWith(Number)
  const actual = {
    usedBytes: withThumbnails('files', sql`NOT p.is_kept`),
    usedFiles: count('files'),
    usedFolders: count('folders'),
    keptBytes: withThumbnails('kept', sql`p.is_kept`),
    keptContents: count('kept')
  }

  function usageMismatches (): Promise<UsageMismatch[]> {
    const columns = usageUnits.map(unit => [unit, accounts[unit]])
    const recorded = Object.fromEntries(columns) as Pick<typeof accounts, keyof Usage>
    // The files of deleted accounts are deleted in batches, which does not update the usage.
    const isWrong = and(isNull(accounts.removedAt), or(...usageUnits.map(unit => ne(accounts[unit], actual[unit]))))
    // One statement reads one state: a file that is added meanwhile is in both sums or in neither.
    return longRunning.read(() =>
      query(db => db.select({ accountId: accounts.id, recorded, actual }).from(accounts).where(isWrong)))
  }

  return {
    /**
     * Adds an account, and the registration `attempt` if given. Ids start at 1 and are never reused.
     * @throws username_taken if another account has `usernameKey`.
     */
    add: (account: NewAccount, attempt?: NewAttempt): Promise<AccountRecord> => transact(function * () {
      const time = yield * now()
      if (attempt !== undefined) yield * query(db => db.insert(attempts).values({ at: time, ...attempt }))
      return yield * addAccount(account)
    }),

    find: read((id: number): Rule<AccountRecord | undefined> => queries.byId({ id }, first)),

    findByKey: read((usernameKey: string): Rule<AccountRecord | undefined> =>
      queries.byKey({ usernameKey }, first)),

    /** All accounts with an id above `afterId`, by id, at most `limit`. For the operator. */
    listAfter: read((afterId: number, limit: number): Rule<AccountRecord[]> =>
      query(db => db.select(accountColumns(tables)).from(accounts)
        .where(and(gt(accounts.id, afterId), isNull(accounts.removedAt))).orderBy(asc(accounts.id)).limit(limit))),

    /**
     * Sets a password. `revokesTokens` also deletes every token of the account, as `tokens.removeAll` does, its reset
     * and its identities. @throws credentials_wrong if the account was changed meanwhile, as {@link VerifiedAccount}
     * says, or deleted.
     */
    async setPasswordHash (
      verified: VerifiedAccount, passwordHash: string, { revokesTokens }: { revokesTokens: boolean }
    ): Promise<void> {
      const { id } = verified
      const isStill = and(
        eq(accounts.id, id),
        isNull(accounts.removedAt),
        eq(accounts.passwordHash, verified.passwordHash),
        eq(accounts.factorVersion, verified.factorVersion)
      )
      if (revokesTokens) await tokenRemover.removeInBatches(id)
      // The update locks the account, which a new token needs: the tokens that exist by then are deleted, and later
      // ones have the new hash.
      await transactFor(id, function * () {
        const changed = yield * query(db => db.update(accounts).set({ passwordHash }).where(isStill)
          .returning({ id: accounts.id }))
        if (changed.length === 0) throw new Problem('credentials_wrong')
        if (revokesTokens) yield * factorChanges.passwordChanged(id)
      })
    },

    /** Sets the limits of one account; null: those of the settings apply. */
    setQuota: (id: number, { bytes, files }: { bytes: number | null, files: number | null }) =>
      change(id, { quotaBytes: bytes, quotaFiles: files }),

    /** Disables an account at the time `at`, or enables it if `at` is null. */
    setDisabled: (id: number, at: number | null) => change(id, { disabledAt: at }),

    /**
     * Marks an account as deleted, in one transaction: from then on neither it nor its tokens are found, it gets no new
     * files, and its name and its identities are free. `accounts.purgeDeleted` deletes its files.
     */
    remove: (id: number, at: number) => transactFor(id, function * () {
      // This key frees the name. It clashes with none, because no username has a colon.
      const removed = { removedAt: at, username: '', usernameKey: `removed:${id}`, passwordHash: '' }
      yield * pipeline(
        query(db => db.update(accounts).set(removed).where(eq(accounts.id, id))),
        query(db => db.delete(identities).where(eq(identities.accountId, id)))
      )
    }).then(notify),

    /**
     * Deletes up to `limit` uploads, files, kept contents, folders or changes of deleted accounts, and their tokens.
     * The blobs become discarded. False if nothing is left to delete.
     */
    purgeDeleted: createPurge(services),

    /** Sums over all accounts that are not deleted. Reads every account. For monitoring. */
    totals: read((quota: Quota) => query(sumsOf(accounts, quota), ([totals]) => totals as Totals)),

    /** Accounts whose recorded usage is not the sum of their files. For fsck. */
    usageMismatches,

    /** Sets the recorded usage of every account to the sum of its files. For fsck. */
    async repairUsage (): Promise<void> {
      for (const { accountId: id } of await usageMismatches()) {
        await transact(function * () {
          // Locked first: a single statement would sum what it saw before it waited for a file that is being added.
          yield * owners.findLocked(id)
          yield * query(db => db.update(accounts).set(actual).where(eq(accounts.id, id)))
        })
      }
    }
  }
}

function sumsOf (accounts: Tables['accounts'], quota: Quota) {
  // An account is near a quota from nine tenths of it.
  const near = (used: Column | SQL, own: Column, usual = NO_LIMIT): SQL =>
    sql`${used} >= 0.9 * coalesce(${own}, cast(${usual} AS bigint))`
  const isNear = or(
    near(accounts.usedBytes, accounts.quotaBytes, quota.bytes),
    near(sql`(${accounts.usedFiles} + ${accounts.usedFolders})`, accounts.quotaFiles, quota.files)
  )
  return (db: Db) => db.select({
    accounts: sql`count(*)`.mapWith(Number),
    files: sql`coalesce(sum(${accounts.usedFiles}), 0)`.mapWith(Number),
    folders: sql`coalesce(sum(${accounts.usedFolders}), 0)`.mapWith(Number),
    bytes: sql`coalesce(sum(${accounts.usedBytes}), 0)`.mapWith(Number),
    keptBytes: sql`coalesce(sum(${accounts.keptBytes}), 0)`.mapWith(Number),
    accountsNearQuota: sql`count(*) FILTER (WHERE ${isNear})`.mapWith(Number)
  }).from(accounts).where(isNull(accounts.removedAt))
}

function queriesOf ({ tables }: Engine) {
  const { accounts } = tables
  const find = (db: Db, condition: SQL | undefined) =>
    db.select(accountColumns(tables)).from(accounts).where(and(condition, isNull(accounts.removedAt)))
  return prepared('accounts', {
    byId: db => find(db, matching(accounts, 'id')),
    byKey: db => find(db, matching(accounts, 'usernameKey'))
  })
}
