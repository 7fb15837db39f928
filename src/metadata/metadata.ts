import type { RequestObserver } from '../monitoring/request-observer.ts'
import { Problem } from '../problems.ts'
import type { ChangeRepository } from './change-repository.ts'
import type { Conditions, Destination } from './conditions.ts'
import type { ClaimRepository, FactorRepository } from './factor-repository.ts'
import type { FolderRepository } from './folder-repository.ts'
import type { KeptRepository } from './kept-repository.ts'
import type { LinkRepository } from './link-repository.ts'
import type { LockRepository, NewLock } from './lock-repository.ts'
import type { PropertyRepository } from './properties.ts'
import type {
  AccountRecord, AttemptClaim, AttemptLimit, AttemptOutcome, AttemptRange,
  EventRecord, FactorState, EventSelection, FilePage, FileRecord, FileSearch, FoundFiles,
  NewAccount, NewAttempt, NewEvent, NewFile, NewToken, Quota, StoredContent, TokenAndAccount, TokenConditions,
  TokenRecord, UsageMismatch, VerifiedAccount
} from './records.ts'
import type { StoreResult, UploadRepository } from './uploads-repository.ts'

/**
 * Accounts, tokens and file metadata: the contract of every backend.
 *
 * Writes. Each method is one transaction, even if the process or the power fails: it happens whole or not at all.
 * Checks (is the name taken, does the quota allow it) run inside the transaction that writes. When the promise of a
 * write resolves, the change is on stable storage. Concurrent writes may share one commit. If that commit fails, all of
 * them reject and none of them has happened.
 *
 * Reads. A read sees every write that was committed before it was called. It resolves once everything it could see is
 * on stable storage, so no caller ever acts on data that a power failure could undo. Every method that finds a file
 * takes the owner's id, except those documented for recovery, fsck and backup.
 *
 * Times. "Now" is the time of the transaction by the clock of the backend, after any wait for locks: processes that
 * share a database share its clock. A test can open a backend with another clock. A caller that passes a time to be
 * compared has it from the backend. The times of `accounts.remove`, `setDisabled` and `attempts.addKnownNetwork` are
 * only recorded: they are those of the caller's clock.
 *
 * Values. Times are milliseconds since 1970 (UTC), sizes are bytes, `sha256` is 64 lower-case hex digits. Names are
 * compared by code point; callers normalise them to NFC.
 *
 * Errors. A method throws `Problem` with the codes it documents only. In addition every write can throw `storage_full`,
 * or `overloaded` if another process keeps the database locked, and every method can throw `unavailable` if the
 * database can't be reached (nothing has happened then), or `OutcomeUnknown`.
 */
export interface Metadata {
  readonly accounts: AccountRepository
  readonly tokens: TokenRepository
  readonly attempts: AttemptRepository
  readonly factors: FactorRepository
  readonly claims: ClaimRepository
  readonly events: EventRepository
  readonly files: FileRepository
  readonly folders: FolderRepository
  readonly changes: ChangeRepository
  readonly kept: KeptRepository
  readonly locks: LockRepository
  readonly links: LinkRepository
  readonly properties: PropertyRepository
  readonly uploads: UploadRepository
  readonly blobs: BlobRepository
  /** A random id of this installation, created with the database. It is the audience of the tokens. */
  readonly installationId: string
  /**
   * Resolves if stable storage fails. From then on every method throws this error, and the process should exit: the
   * next start finds out what is stored.
   */
  readonly failed: Promise<OutcomeUnknown>
  /** The time by the clock of the backend. May cost a round trip. */
  now (): Promise<number>
  /** Errors in the database itself, one line each. For fsck. */
  checkIntegrity (): Promise<string[]>
  /** Reads, and commits a change without effect: rejects if reads or writes would fail. For monitoring. */
  probe (): Promise<void>
  /** Calls `observer` after every commit from now on. For monitoring. */
  watchCommits (observer: CommitObserver): void
  /** Undefined if the database is a file of this process. For monitoring. */
  readonly server: DatabaseServer | undefined
  close (): Promise<void>
}

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
   * Deletes up to `limit` files, kept contents, uploads or folders of deleted accounts, and their tokens. The blobs
   * become discarded. False if nothing is left to delete.
   */
  purgeDeleted (limit: number): Promise<boolean>
  /** Sums over all accounts that are not deleted. Reads every account. For monitoring. */
  totals (quota: Quota): Promise<Totals>
  /** Accounts whose recorded usage is not the sum of their files. For fsck. */
  usageMismatches (): Promise<UsageMismatch[]>
  /** Sets the recorded usage of every account to the sum of its files. For fsck. */
  repairUsage (): Promise<void>
}

/** Access tokens, personal tokens and sessions. */
export interface TokenRepository {
  /**
   * Adds a token. Beyond `maxTokens`, the account's oldest access token is deleted in the same transaction.
   * @throws token_revoked if the account, or the parent token, was deleted; credentials_wrong if it is no longer
   * `verified`; too_many_tokens if the account has no access token to delete.
   */
  add (token: NewToken, conditions?: TokenConditions): Promise<TokenRecord>
  /** The token and its account, in one query; undefined if either was deleted. */
  find (id: number): Promise<TokenAndAccount | undefined>
  findBySecret (secretHash: string): Promise<TokenAndAccount | undefined>
  /** Tokens that have not expired, newest first: at most `limit` with an id below `beforeId`. */
  list (accountId: number, page: { beforeId: number | undefined, limit: number }): Promise<TokenRecord[]>
  /** Sets the time at which a token was last used. */
  recordUse (id: number, at: number): Promise<void>
  /** Deletes a token and the tokens issued for it. @throws not_found if the account has no such token. */
  remove (accountId: number, id: number): Promise<void>
  /**
   * Deletes all tokens of an account. If they are more than a few hundred, the oldest are deleted first, in
   * transactions of their own.
   */
  removeAll (accountId: number): Promise<void>
  /** Deletes up to `limit` tokens of a kind that expired before `before`; true if there may be more. */
  removeExpired (expired: { kind: NewToken['kind'], before: number }, limit: number): Promise<boolean>
}

/**
 * Failed sign-ins, wrong codes and registrations, which limits count, and the networks that accounts are known to use.
 */
export interface AttemptRepository {
  /**
   * Decides whether an attempt may go on, and if so claims its place under each limit, in one transaction: parallel
   * attempts can't exceed a limit. A claim lapses with the process that made it. Attempts in the future are from before
   * the clock was set back, and do not count.
   */
  claim (attempt: NewAttempt, limits: readonly AttemptLimit[]): Promise<AttemptClaim>
  /**
   * Ends a claim and applies its outcome, in one transaction: a failure is recorded, a success deletes the failures
   * of its kind for that username from that network. A failure that can't be recorded (full disk) still counts.
   */
  finish (claimId: number, outcome: AttemptOutcome): Promise<void>
  /**
   * Deletes up to `limit` attempts before `since` or after `until`, wrong codes before `codesSince`, which is earlier;
   * true if there may be more.
   */
  removeOutside (range: AttemptRange): Promise<boolean>
  isKnownNetwork (usernameKey: string, network: string): Promise<boolean>
  /** Records that an account signed in from a network; true if it is the first time. */
  addKnownNetwork (account: FactorState, network: string, at: number): Promise<boolean>
}

/** The security events of the accounts and of the whole store. */
export interface EventRepository {
  /** Adds an event. Of an account, about the latest `keep` are kept, at least these. */
  add (event: NewEvent, keep: number): Promise<void>
  /** Latest first: at most `limit` events of an account with an id below `beforeId`. */
  list (accountId: number, page: { beforeId: number | undefined, limit: number }): Promise<EventRecord[]>
  /** By id: at most `limit` events with an id above `afterId`. An event can have a lower id than one added before. */
  listAfter (afterId: number, selection: EventSelection): Promise<EventRecord[]>
  /** The latest event of the whole store that is of one of these kinds. */
  findLatest (kinds: readonly string[]): Promise<EventRecord | undefined>
  /**
   * Deletes up to `limit` events before a time, but not the latest of a kind of the whole store. Returns whether there
   * may be more.
   */
  removeBefore (time: number, limit: number): Promise<boolean>
}

/**
 * Files by owner and name. A name is a path. A write that stores, moves or restores a file makes its missing parents in
 * the same transaction, and fails with `name_taken` if a folder has the name or a file has that of a parent.
 */
export interface FileRepository {
  /**
   * Adds a file under a free name. If the owner has a file of that name with the same size and sha256, nothing changes:
   * `isNew` is false, and the new blob is not used.
   * @throws name_taken if the existing file has other bytes, quota_exceeded, not_found if the owner was deleted.
   */
  add (file: NewFile, quota: Quota): Promise<StoreResult>
  /**
   * Adds a file, or replaces the bytes of the file with that name. The old ones are kept as a version, or discarded.
   * @throws precondition_failed if the precondition does not permit it, name_taken, quota_exceeded (only the difference
   * counts), not_found if the owner was deleted, parent_missing, file_locked, too_many_locks. With
   * `lock` it only adds one under a free name, and locks it: @throws name_taken.
   */
  put (file: NewFile, quota: Quota, conditions: Conditions, lock?: NewLock): Promise<StoreResult>
  /**
   * Adds a copy of a file, with its dead properties, or with `overwrites` replaces the file that has the name. The
   * caller has copied the bytes of `source.blobId` to the blob of `file`. The precondition is about the source.
   * Undefined if that has other bytes by now.
   * @throws not_found, precondition_failed, name_taken, parent_missing, file_locked, quota_exceeded.
   */
  copy (
    source: { readonly name: string, readonly blobId: string }, file: NewFile, quota: Quota, destination: Destination
  ): Promise<StoreResult | undefined>
  find (ownerId: number, name: string): Promise<FileRecord | undefined>
  /**
   * The file of a name, or else how many folders would be made for it. `announced`: a `put` under these conditions, and
   * the account's `lockedUntil`; throws what that would throw because of conditions and locks.
   * @throws name_taken if no file can have it.
   */
  findPlace (
    ownerId: number, name: string, announced?: { readonly conditions: Conditions, readonly lockedUntil: number }
  ): Promise<FileRecord | { readonly newFolders: number }>
  /** Whether the owner has a file of `minBytes` to `maxBytes`, both inclusive, directly in a folder. */
  hasOfSize (ownerId: number, within: { folder: string, minBytes: number, maxBytes: number }): Promise<boolean>
  /**
   * One page in the given order. Concurrent changes never make a file that stays in its folder appear on two pages.
   * @throws not_found if the folder does not exist.
   */
  list (ownerId: number, page: FilePage): Promise<FileRecord[]>
  /**
   * One page of the files whose last segment contains a text, in the given order; compares without case and accents, as
   * `fold` does. Reads names in many short queries: one of a file that is moved or renamed meanwhile can be missing. In
   * an order by name it ends early, so that no page takes long; other orders read all names for every page. Searches of
   * one account run one after another.
   * @throws not_found if the folder does not exist.
   */
  search (ownerId: number, search: FileSearch): Promise<FoundFiles>
  /**
   * Renames or moves a file; its bytes and `createdAt` do not change, and `updatedAt` only with the last segment.
   * With `overwrites`, a file that has the new name goes to the trash.
   * @throws not_found, precondition_failed, name_taken, parent_missing, file_locked, quota_exceeded.
   */
  rename (
    ownerId: number, name: string, newName: string, quota: Quota, destination?: Destination
  ): Promise<FileRecord>
  /** Sets the date of a file to now if it is later: the clock was set back. No error if the file does not exist. */
  correctDate (ownerId: number, name: string): Promise<void>
  /**
   * Deletes a file. It is kept in the trash, unless `isPermanent` or nothing is kept: then its blob and those of its
   * versions become discarded.
   * @throws not_found, precondition_failed, file_locked.
   */
  remove (ownerId: number, name: string, removal: { precondition: Conditions, isPermanent: boolean }): Promise<void>
}

/** What is known of blobs: which are in use, being written, or to be deleted. */
export interface BlobRepository {
  /** Those of the given blobs that belong to a file or are kept. For recovery. */
  findKnown (blobIds: string[]): Promise<Set<string>>
  /**
   * Those of the given blobs that belong to a file or an unfinished upload, are kept, are discarded or have a lease, as
   * of one moment. For recovery and fsck.
   */
  findReferenced (blobIds: string[]): Promise<Set<string>>
  /**
   * What files of all owners contain and what is kept of them, by the id of the blob, at most `limit` above `afterId`.
   * For fsck and backup.
   */
  listContents (afterId: string, limit: number): Promise<StoredContent[]>
  /**
   * Records that the bytes of a blob are about to be written. Adding a file with that blob ends the lease, and fails
   * with `unavailable` if it ran out: another process may already delete the bytes. Only if `BlobStore.needsLeases`.
   */
  lease (blobId: string, seconds: number): Promise<void>
  /** Prolongs leases that have not ended. */
  renewLeases (blobIds: string[], seconds: number): Promise<void>
  /** Ends a lease whose bytes are deleted. */
  endLease (blobId: string): Promise<void>
  /**
   * Claims up to `limit` blobs whose lease ran out: their bytes can be deleted. Each is returned again a day after
   * `blobs.clearAbandoned`, in case a paused process wrote late. For recovery.
   */
  claimAbandoned (limit: number): Promise<string[]>
  /** The bytes of abandoned blobs were deleted. */
  clearAbandoned (blobIds: string[]): Promise<void>
  /**
   * Blobs that were discarded `graceSeconds` ago or earlier, oldest first, at most `limit`: no file uses them, their
   * bytes can be deleted. Empty while a backup holds the retention lock. For recovery.
   */
  claimDiscarded (limit: number, graceSeconds: number): Promise<string[]>
  /** Whether discarded blobs wait for the removal of their bytes, also while a backup holds the retention lock. */
  hasDiscarded (): Promise<boolean>
  /** Moves discarded blobs whose bytes can't be deleted now behind all others. */
  postponeDiscarded (blobIds: string[]): Promise<void>
  /** Deletes the records of discarded blobs. The caller has deleted their bytes. */
  clearDiscarded (blobIds: string[]): Promise<void>
  /** Whether a backup holds the retention lock: until it ends, no bytes of discarded blobs are deleted. */
  hasRetentionLock (): Promise<boolean>
}

/** A database server, and what this process asks it. */
export interface DatabaseServer {
  /** Calls `observer` after every query from now on. */
  watchRequests (observer: RequestObserver): void
  countConnections (): ConnectionCounts
}

/** The connections of this process to a database server. */
export interface ConnectionCounts {
  /** Includes those that are being opened. */
  readonly inUse: number
  readonly idle: number
  /** Calls that wait for a connection. */
  readonly waiting: number
  readonly max: number
}

/**
 * It is unknown whether a write was committed. The caller must not delete anything because of it. With the code
 * `stopping` the process is about to exit, because its stable storage failed; with `unavailable` the connection to the
 * database was lost.
 */
export class OutcomeUnknown extends Problem {
  constructor (cause: unknown, code: 'stopping' | 'unavailable' = 'stopping') {
    const reason = code === 'stopping' ? 'The server is stopping' : 'The connection to the database was lost'
    super(code, { detail: `${reason}, and it is not known whether this request was carried out.`, headers: { 'retry-after': '5' }, resource: 'database', cause })
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

/** Called after a commit is on stable storage, with its writes and duration. Must be fast and not throw. */
export type CommitObserver = (commit: { readonly writes: number, readonly seconds: number }) => void
