import { Problem } from '../problems.ts'
import type { AccountRecord, Attempt, AttemptFilter, EventRecord, FilePage, FileRecord, NewAccount, NewEvent, NewFile, NewToken, Quota, TokenAndAccount, TokenConditions, TokenRecord } from './records.ts'

/**
 * Facts about accounts, tokens and files: the contract that every backend keeps.
 *
 * Each method is one atomic act: it happens whole or not at all, also when the process or the power dies, and what it
 * decides (who has a name, whether a quota holds) it decides inside the same transaction that writes. When a promise of
 * a writing method resolves, the change is on stable storage. Acts that arrive together may share one commit; if that
 * commit fails, every one of them rejects and none has happened.
 *
 * Reads see what was committed before they were called, and resolve when all that they could see is on stable storage: what
 * a power cut could still undo is told to nobody, and nobody acts on it. No method finds a file without its owner, except those that
 * serve recovery and say so. Times are milliseconds since 1970 (UTC), sizes are bytes, `sha256` is 64 lower-case hex
 * digits. Names are compared code point by code point; callers bring them to NFC first.
 *
 * A method throws `Problem` only with the codes it names. `storage_full` can come from every writing method, `overloaded`
 * where another process writes for too long, and `OutcomeUnknown` from every method.
 */
export interface Metadata {
  /** A random name of this installation, made with the database; the audience of its tokens. */
  readonly installationId: string
  /** Resolves when stable storage failed. From then on every method throws the same error, and the process should end: the next start finds out what is stored. */
  readonly failed: Promise<OutcomeUnknown>

  /** Adds a person, and counts their registration in the same act where `attempt` is given. Ids count from 1 and are never used twice. @throws username_taken when another has `usernameKey`. */
  addAccount (account: NewAccount, attempt?: Attempt): Promise<AccountRecord>
  findAccount (id: number): Promise<AccountRecord | undefined>
  findAccountByKey (usernameKey: string): Promise<AccountRecord | undefined>
  /** Everybody with an id above `afterId`, by id, at most `limit`. For the operator. */
  accountsAfter (afterId: number, limit: number): Promise<AccountRecord[]>
  /**
   * Sets a password; with `endsTokens` every token of the person ends in the same act, as by `removeTokens`. With `replaces` only in place of
   * that hash: of two who change it at once, or of one who only hashes it anew, none undoes the other unseen.
   * @throws credentials_wrong where the person has another hash by now, or is gone.
   */
  setPasswordHash (id: number, passwordHash: string, consequences: { endsTokens: boolean, replaces?: string }): Promise<void>
  /** Limits of the operator's for one person; null goes back to the settings. */
  setQuota (id: number, quota: { bytes: number | null, files: number | null }): Promise<void>
  /** Keeps a person out, or lets them in again; `at` null lets in. */
  setDisabled (id: number, at: number | null): Promise<void>
  /**
   * Makes a person gone for everybody, in one act: nobody finds them or their tokens, no file is added for them, and their
   * name is free. Their files are removed by `removeRemains`.
   */
  removeAccount (id: number, at: number): Promise<void>
  /** Forgets at most `limit` files of people who are gone, and their tokens; the blobs go to the discarded ones. False where nothing is left. */
  purgeDeletedAccounts (limit: number): Promise<boolean>

  /**
   * Adds a token. Where the account then has more than `maxTokens`, its oldest access token ends in the same act.
   * @throws token_revoked where the person, or the token it is issued for, is gone; credentials_wrong where `passwordHash` is
   * given and not theirs any more; too_many_tokens where the account has no access token that could end.
   */
  addToken (token: NewToken, terms?: TokenConditions): Promise<TokenRecord>
  /** The token and the person it speaks for, in one look-up; undefined where it was revoked or the person is gone. */
  findToken (id: number): Promise<TokenAndAccount | undefined>
  findTokenBySecret (secretHash: string): Promise<TokenAndAccount | undefined>
  /** Tokens that hold at `now`, the newest first: at most `limit` with an id below `beforeId`. */
  listTokens (accountId: number, page: { now: number, beforeId: number | undefined, limit: number }): Promise<TokenRecord[]>
  /** Remembers when a token was used last. */
  touchToken (id: number, at: number): Promise<void>
  /** Ends a token and the ones issued for it. @throws not_found where the person has no such token. */
  removeToken (accountId: number, id: number): Promise<void>
  /** Ends every token of an account: one act where there are few hundred, else the oldest go before it, in batches. */
  removeTokens (accountId: number): Promise<void>
  /** Forgets tokens of a kind that expired before `before`, at most `limit`; true where there may be more. */
  removeExpiredTokens (expired: { kind: NewToken['kind'], before: number }, limit: number): Promise<boolean>

  /** Counts an attempt. */
  addAttempt (attempt: Attempt): Promise<void>
  /** When the attempts that match were made, the latest first, from `since` to `until`, both included, at most `limit`. */
  attemptTimes (matching: AttemptFilter, range: { since: number, until: number, limit: number }): Promise<number[]>
  /** Forgets failed sign-ins of one person from one network: they have just signed in from there. */
  clearAttempts (usernameKey: string, network: string): Promise<void>
  /** Forgets attempts before `since` and after `until`, at most `limit`; true where there may be more. */
  removeAttempts (range: { since: number, until: number, limit: number }): Promise<boolean>
  isKnownNetwork (usernameKey: string, network: string): Promise<boolean>
  /** Remembers that a person signed in from a network; true where it is the first time. */
  addKnownNetwork (accountId: number, network: string, at: number): Promise<boolean>

  /** Remembers what happened to an account, and of each account the latest `keep`. */
  addEvent (event: NewEvent, keep: number): Promise<void>
  /** The latest events first: at most `limit` with an id below `beforeId`. */
  listEvents (accountId: number, page: { beforeId: number | undefined, limit: number }): Promise<EventRecord[]>

  /**
   * Adds a file under a name that is free. Where the owner has that name already with the same size and sha256, nothing
   * changes and `isNew` is false; the new blob is then not used.
   * @throws name_taken where other bytes have the name, quota_exceeded where they would not fit, not_found where the owner is gone.
   */
  addFile (file: NewFile, quota: Quota): Promise<{ file: FileRecord, isNew: boolean }>
  /**
   * Sets the bytes of a name, whether it is free or not. `permits` is asked inside the transaction with the file that
   * is there; the blob of a replaced file goes to the discarded ones.
   * @throws precondition_failed where `permits` says no, quota_exceeded where the bytes would not fit in place of the old ones,
   * not_found where the owner is gone.
   */
  putFile (file: NewFile, quota: Quota, permits: Precondition): Promise<{ file: FileRecord, isNew: boolean }>
  findFile (ownerId: number, name: string): Promise<FileRecord | undefined>
  /** Whether the owner has a file of at least `least` and at most `most` bytes. */
  hasFileOfSize (ownerId: number, bounds: { least: number, most: number }): Promise<boolean>
  /** At most `limit` files behind `after`, in the order asked for; never the same file twice while others come and go. */
  listFiles (ownerId: number, page: FilePage): Promise<FileRecord[]>
  /** Gives a file another name; its bytes and its creation time stay. @throws not_found, name_taken. */
  renameFile (ownerId: number, name: string, newName: string, now: number): Promise<FileRecord>
  /** Sets the date of a file to `now` if it is later: it is from before the clock was set back. No error if there is no such file. */
  redateFile (ownerId: number, name: string, now: number): Promise<void>
  /** Forgets a file; its blob goes to the discarded ones. @throws not_found, precondition_failed. */
  removeFile (ownerId: number, name: string, permits: Precondition): Promise<void>

  /** Of these blobs, the ones that a file has. For recovery. */
  knownBlobs (blobIds: string[]): Promise<Set<string>>
  /** Blobs that no file has any more and whose bytes may go, oldest first, at most `limit`; none while a backup holds them. For recovery. */
  discardedBlobs (limit: number): Promise<string[]>
  /** The bytes of these blobs are gone for good. */
  forgetDiscarded (blobIds: string[]): Promise<void>

  /** Every owner's files with an id above `afterId`, by id, at most `limit`. For fsck and backup. */
  filesAfter (afterId: number, limit: number): Promise<FileRecord[]>
  /** Of these blobs, the ones that a file has or that are discarded and not yet forgotten, as of one moment. For recovery and fsck. */
  referencedBlobs (blobIds: string[]): Promise<Set<string>>
  /** People whose recorded usage is not the sum of their files. For fsck. */
  usageMismatches (): Promise<UsageMismatch[]>
  /** Sets the recorded usage of everybody to the sum of their files. For fsck. */
  repairUsage (): Promise<void>
  /** What is wrong with the database itself, a line each; none where it is sound. For fsck. */
  checkIntegrity (): Promise<string[]>

  /** What is stored for everybody who is not gone. Reads every account. For monitoring. */
  totals (quota: Quota): Promise<Totals>
  /** Reads, and commits a change that says nothing: rejects with whatever would stand in the way of any act. For monitoring. */
  probe (): Promise<void>
  /** Tells of every commit from now on. For monitoring. */
  watchCommits (observer: CommitObserver): void

  close (): Promise<void>
}

/**
 * The outcome of an act is unknown: its commit may be on stable storage or not. Whoever gets this removes nothing because of
 * it. To a client it says that the server is stopping.
 */
export class OutcomeUnknown extends Problem {
  constructor (cause: unknown) {
    super('stopping', { detail: 'The server is stopping, and it is not known whether this request was carried out.', headers: { 'retry-after': '5' }, cause })
  }
}

/** What is stored, summed up. */
export interface Totals {
  readonly accounts: number
  readonly files: number
  readonly bytes: number
  /** Accounts that have used nine tenths of what they may, by `quota` or the operator's own limits for them. */
  readonly accountsNearQuota: number
}

/** Hears of a commit that is on stable storage: how many acts shared it, and how long it took to get there. It is quick and does not throw. */
export type CommitObserver = (commit: { readonly acts: number, readonly seconds: number }) => void

interface Usage { readonly bytes: number, readonly files: number }

export interface UsageMismatch { readonly accountId: number, readonly recorded: Usage, readonly actual: Usage }

/** Whether an act may go on, given the file that has the name now. It is pure and does not throw. */
export type Precondition = (current: FileRecord | undefined) => boolean
