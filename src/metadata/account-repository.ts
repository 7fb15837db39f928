import type { NewAttempt } from './attempt-records.ts'
import type { AccountRecord, NewAccount, Quota, UsageMismatch, VerifiedAccount } from './records.ts'

/** Accounts. One that was removed is not found, and its name is free. */
export interface AccountRepository {
  /**
   * Adds an account, and the registration `attempt` if given. Ids start at 1 and are never reused.
   * @throws username_taken if another account has `usernameKey`.
   */
  add (account: NewAccount, attempt?: NewAttempt): Promise<AccountRecord>
  find (id: number): Promise<AccountRecord | undefined>
  findByKey (usernameKey: string): Promise<AccountRecord | undefined>
  /** All accounts with an id above `afterId`, by id, at most `limit`. For the operator. */
  listAfter (afterId: number, limit: number): Promise<AccountRecord[]>
  /**
   * Sets a password. `revokesTokens` also deletes every token of the account, as `tokens.removeAll` does, and its
   * reset. @throws credentials_wrong if the account was changed meanwhile, as {@link VerifiedAccount} says, or deleted.
   */
  setPasswordHash (
    account: VerifiedAccount, passwordHash: string, consequences: { revokesTokens: boolean }
  ): Promise<void>
  /** Sets the limits of one account; null: those of the settings apply. */
  setQuota (id: number, quota: { bytes: number | null, files: number | null }): Promise<void>
  /** Disables an account at the time `at`, or enables it if `at` is null. */
  setDisabled (id: number, at: number | null): Promise<void>
  /**
   * Marks an account as deleted, in one transaction: from then on neither it nor its tokens are found, it gets no new
   * files, and its name is free. `accounts.purgeDeleted` deletes its files.
   */
  remove (id: number, at: number): Promise<void>
  /**
   * Deletes up to `limit` uploads, files, kept contents, folders or changes of deleted accounts, and their tokens. The
   * blobs become discarded. False if nothing is left to delete.
   */
  purgeDeleted (limit: number): Promise<boolean>
  /** Sums over all accounts that are not deleted. Reads every account. For monitoring. */
  totals (quota: Quota): Promise<Totals>
  /** Accounts whose recorded usage is not the sum of their files. For fsck. */
  usageMismatches (): Promise<UsageMismatch[]>
  /** Sets the recorded usage of every account to the sum of its files. For fsck. */
  repairUsage (): Promise<void>
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
