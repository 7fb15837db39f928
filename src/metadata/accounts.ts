import { and, asc, type Column, eq, getTableColumns, gt, isNull, ne, or, type SQL, sql } from 'drizzle-orm'
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core'
import { Problem } from '../problems.ts'
import { AccountPurge } from './account-purge.ts'
import type { AccountRepository, Totals } from './account-repository.ts'
import type { NewAttempt } from './attempt-records.ts'
import type { Discard } from './blobs.ts'
import type { Engine } from './engine.ts'
import type { OneTimeSecrets } from './one-time-secrets.ts'
import {
  type AccountRecord, type NewAccount, NO_LIMIT, type Quota, type UsageMismatch, type VerifiedAccount
} from './records.ts'
import { ask, reading, Refusal, writing, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'
import type { TokenRemover } from './token-remover.ts'

const { placeholder } = sql

/** The columns of an `AccountRecord`: all but `removedAt` and `keptContents`. */
export function accountColumns ({ accounts }: Tables) {
  const { removedAt: _removedAt, keptContents: _keptContents, ...columns } = getTableColumns(accounts)
  return columns
}

/** Adds an account in the current transaction. @throws username_taken. */
export type AddAccount = (account: NewAccount) => Rule<AccountRecord>

export function createAccountAdder ({ tables, now }: Engine): AddAccount {
  return function * (account) {
    const time = yield * now()
    try {
      const [added] = yield * ask(writing('', db => db.insert(tables.accounts).values({ createdAt: time, ...account })
        .returning(accountColumns(tables))))
      return added as AccountRecord
    } catch (error) {
      throw error instanceof Refusal ? new Problem('username_taken', { cause: error }) : error
    }
  }
}

/** Whether a row is an account as it was verified. */
function isStill ({ accounts }: Tables, { id, passwordHash, factorVersion }: VerifiedAccount): SQL | undefined {
  const isSame = and(eq(accounts.passwordHash, passwordHash), eq(accounts.factorVersion, factorVersion))
  return and(eq(accounts.id, id), isNull(accounts.removedAt), isSame)
}

interface AccountOptions {
  readonly secrets: OneTimeSecrets
  readonly addAccount: AddAccount
  readonly engine: Engine
  /** For what reads whole tables. */
  readonly longRunning: Pick<Engine, 'read'>
  readonly tokenRemover: TokenRemover
  readonly discard: Discard
}

export class AccountRules implements AccountRepository {
  readonly #engine: Engine
  readonly #tables: Tables
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #longRunning: AccountOptions['longRunning']
  readonly #tokenRemover: TokenRemover
  readonly #purge: AccountPurge
  readonly #secrets: OneTimeSecrets
  readonly #addAccount: AddAccount

  constructor ({ engine, longRunning, tokenRemover, secrets, addAccount, discard }: AccountOptions) {
    this.#secrets = secrets
    this.#addAccount = addAccount
    this.#engine = engine
    this.#tables = engine.tables
    this.#queries = queriesOf(engine)
    this.#longRunning = longRunning
    this.#tokenRemover = tokenRemover
    this.#purge = new AccountPurge({ engine, tokenRemover, discard })
  }

  add (account: NewAccount, attempt?: NewAttempt): Promise<AccountRecord> {
    return this.#engine.transact(() => this.#add(account, attempt))
  }

  * #add (account: NewAccount, attempt: NewAttempt | undefined): Rule<AccountRecord> {
    const { attempts } = this.#tables
    const time = yield * this.#engine.now()
    if (attempt !== undefined) yield * ask(writing('', db => db.insert(attempts).values({ at: time, ...attempt })))
    return yield * this.#addAccount(account)
  }

  find (id: number): Promise<AccountRecord | undefined> {
    return this.#engine.read(() => ask(this.#queries.byId, { id }, ([account]) => account))
  }

  findByKey (key: string): Promise<AccountRecord | undefined> {
    return this.#engine.read(() => ask(this.#queries.byKey, { key }, ([account]) => account))
  }

  listAfter (afterId: number, limit: number): Promise<AccountRecord[]> {
    const { accounts } = this.#tables
    return this.#engine.read(() => ask(reading('', db => db.select(accountColumns(this.#tables)).from(accounts)
      .where(and(gt(accounts.id, afterId), isNull(accounts.removedAt))).orderBy(asc(accounts.id)).limit(limit))))
  }

  async setPasswordHash (
    account: VerifiedAccount, passwordHash: string, consequences: { revokesTokens: boolean }
  ): Promise<void> {
    if (consequences.revokesTokens) await this.#tokenRemover.thinOut(account.id)
    await this.#engine.transactFor(account.id, () => this.#setPasswordHash(account, passwordHash, consequences))
  }

  // The update locks the account, which a new token needs: the tokens that exist by then are deleted, and later ones
  // have the new hash.
  * #setPasswordHash (
    account: VerifiedAccount, passwordHash: string, { revokesTokens }: { revokesTokens: boolean }
  ): Rule<void> {
    const { accounts } = this.#tables
    const changed = yield * ask(writing('', db => db.update(accounts).set({ passwordHash })
      .where(isStill(this.#tables, account)).returning({ id: accounts.id })))
    if (changed.length === 0) throw new Problem('credentials_wrong')
    if (!revokesTokens) return
    yield * this.#tokenRemover.removeRest(account.id)
    yield * this.#secrets.endOf(account.id)
  }

  setQuota (id: number, { bytes, files }: { bytes: number | null, files: number | null }): Promise<void> {
    return this.#change(id, { quotaBytes: bytes, quotaFiles: files })
  }

  setDisabled (id: number, at: number | null): Promise<void> {
    return this.#change(id, { disabledAt: at })
  }

  // This key frees the name. It clashes with none, because no username has a colon.
  remove (id: number, at: number): Promise<void> {
    return this.#change(id, { removedAt: at, username: '', usernameKey: `removed:${id}`, passwordHash: '' })
  }

  #change (id: number, set: PgUpdateSetSource<Tables['accounts']>): Promise<void> {
    const { accounts } = this.#tables
    return this.#engine.apply(function * () {
      yield * ask(writing('', db => db.update(accounts).set(set).where(eq(accounts.id, id))))
    }, id)
  }

  purgeDeleted (limit: number): Promise<boolean> {
    return this.#purge.removeSome(limit)
  }

  totals (quota: Quota): Promise<Totals> {
    return this.#engine.read(() => ask(this.#sums(quota), {}, ([totals]) => totals as Totals))
  }

  #sums (quota: Quota) {
    const { accounts } = this.#tables
    // An account is near a quota from nine tenths of it.
    const near = (used: Column | SQL, own: Column, usual = NO_LIMIT): SQL =>
      sql`${used} >= 0.9 * coalesce(${own}, cast(${usual} AS bigint))`
    const isNear = or(
      near(accounts.usedBytes, accounts.quotaBytes, quota.bytes),
      near(sql`(${accounts.usedFiles} + ${accounts.usedFolders})`, accounts.quotaFiles, quota.files)
    )
    return reading('', db => db.select({
      accounts: sql`count(*)`.mapWith(Number),
      files: sql`coalesce(sum(${accounts.usedFiles}), 0)`.mapWith(Number),
      folders: sql`coalesce(sum(${accounts.usedFolders}), 0)`.mapWith(Number),
      bytes: sql`coalesce(sum(${accounts.usedBytes}), 0)`.mapWith(Number),
      keptBytes: sql`coalesce(sum(${accounts.keptBytes}), 0)`.mapWith(Number),
      accountsNearQuota: sql`count(*) FILTER (WHERE ${isNear})`.mapWith(Number)
    }).from(accounts).where(isNull(accounts.removedAt)))
  }

  // One statement reads one state: a file that is added meanwhile is in both sums or in neither.
  usageMismatches (): Promise<UsageMismatch[]> {
    return this.#longRunning.read(() => ask(this.#queries.mismatches))
  }

  async repairUsage (): Promise<void> {
    for (const { accountId } of await this.usageMismatches()) await this.#engine.transact(() => this.#repair(accountId))
  }

  * #repair (id: number): Rule<void> {
    // Locked first: a single statement would sum what it saw before it waited for a file that is being added.
    yield * ask(this.#queries.lock, { id })
    yield * ask(this.#queries.repair, { id })
  }
}

function queriesOf ({ tables, locking }: Engine) {
  const { accounts } = tables
  const columns = accountColumns(tables)
  const isActive = isNull(accounts.removedAt)
  const isThis = eq(accounts.id, placeholder('id'))
  // Raw SQL: in a query of one table Drizzle omits the table's name, and `id` would be the file's.
  const actual = {
    bytes: sql`(SELECT cast(coalesce(sum(f.size), 0) AS bigint) FROM files f WHERE f.owner_id = accounts.id)`.mapWith(Number),
    files: sql`(SELECT count(*) FROM files f WHERE f.owner_id = accounts.id)`.mapWith(Number),
    folders: sql`(SELECT count(*) FROM folders f WHERE f.owner_id = accounts.id)`.mapWith(Number),
    keptBytes: sql`(SELECT cast(coalesce(sum(k.size), 0) AS bigint) FROM kept k WHERE k.owner_id = accounts.id)`.mapWith(Number),
    keptContents: sql`(SELECT count(*) FROM kept k WHERE k.owner_id = accounts.id)`.mapWith(Number)
  }
  const recorded = {
    bytes: accounts.usedBytes,
    files: accounts.usedFiles,
    folders: accounts.usedFolders,
    keptBytes: accounts.keptBytes,
    keptContents: accounts.keptContents
  }
  // The files of deleted accounts are deleted in batches, which does not update the usage.
  const isWrong = and(isActive, or(
    ne(recorded.bytes, actual.bytes),
    ne(recorded.files, actual.files),
    ne(recorded.folders, actual.folders),
    ne(recorded.keptBytes, actual.keptBytes),
    ne(recorded.keptContents, actual.keptContents)
  ))

  return {
    byId: reading('account_by_id', db => db.select(columns).from(accounts).where(and(isThis, isActive))),
    byKey: reading('account_by_key', db => db.select(columns).from(accounts)
      .where(and(eq(accounts.usernameKey, placeholder('key')), isActive))),
    mismatches: reading('', db => db.select({ accountId: accounts.id, recorded, actual }).from(accounts).where(isWrong)),
    lock: reading('lock_account', db => locking(db.select({ id: accounts.id }).from(accounts).where(isThis))),
    repair: writing('', db => db.update(accounts).set({
      usedBytes: actual.bytes,
      usedFiles: actual.files,
      usedFolders: actual.folders,
      keptBytes: actual.keptBytes,
      keptContents: actual.keptContents
    }).where(isThis))
  }
}
