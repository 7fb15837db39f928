import { Problem } from '../problems.ts'

/** The limits of one account; undefined means no limit. */
export interface Quota { readonly bytes: number | undefined, readonly files: number | undefined }

/** An account's own limit that lifts the limit of the settings: no account reaches it. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER

/**
 * Refuses a change that would exceed a quota. A change that adds nothing is never refused: an account above a lowered
 * quota can still replace a file by a smaller one.
 * @throws quota_exceeded with the numbers.
 */
export function refuseBeyondQuota (quota: Quota, used: Amount, added: Amount): void {
  const unit = unitBeyond(quota, used, added)
  if (unit === undefined) return
  const noun = { bytes: 'bytes', files: 'files and folders' }[unit]
  throw new Problem('quota_exceeded', {
    detail: `The quota is ${quota[unit]} ${noun}, ${used[unit]} ${noun} are used, and this would add ${added[unit]} ${noun}.`,
    members: { unit, remaining: Math.max(0, Number(quota[unit]) - used[unit]) }
  })
}

/** Of what there would be too much; undefined if the change is within the quota. */
export function unitBeyond (quota: Quota, used: Amount, added: Amount): keyof Amount | undefined {
  return (['bytes', 'files'] as const).find(unit => added[unit] > 0 && used[unit] + added[unit] > (quota[unit] ?? Infinity))
}

/** Bytes and files. */
export interface Amount { readonly bytes: number, readonly files: number }

/** An account to be added. */
export interface NewAccount {
  /** As typed at registration. */
  readonly username: string
  /** The normalised username, which must be unique. */
  readonly usernameKey: string
  readonly passwordHash: string
  /** Default: now. */
  readonly createdAt?: number
}

/** An account with its usage, as of when it was read. */
export interface AccountRecord extends NewAccount {
  readonly id: number
  readonly createdAt: number
  /** Limits that the operator set for this account; null: those of the settings apply. */
  readonly quotaBytes: number | null
  readonly quotaFiles: number | null
  readonly usedBytes: number
  readonly usedFiles: number
  readonly usedFolders: number
  /** Bytes of versions and trash. */
  readonly keptBytes: number
  /** No lock lasts longer. */
  readonly lockedUntil: number
  /** Second factors: with one, the password alone opens nothing. */
  readonly factorCount: number
  /** Changes with the factors. */
  readonly factorVersion: number
  /** When the operator disabled the account; null if it is enabled. */
  readonly disabledAt: number | null
}

/** An account as a request has verified it. A write that is given one fails if the password or the factors changed. */
export type VerifiedAccount = Pick<AccountRecord, 'id' | 'passwordHash' | 'factorVersion'>

/** An account, with the factors that it had when somebody signed in. */
export type FactorState = Pick<AccountRecord, 'id' | 'factorVersion'>

/** What a person shows to sign in. */
export const factors = ['password', 'totp', 'recovery_code', 'passkey'] as const
export type Factor = typeof factors[number]

/** A token to be added: an access token, a personal access token or a session. No kind is stored as its text. */
export interface NewToken {
  readonly accountId: number
  readonly kind: 'access' | 'personal' | 'session'
  /** The personal token or session that this access token was issued for; both are deleted together. */
  readonly parentId: number | null
  /** The name of a personal token. */
  readonly name: string | null
  /** Separated by spaces (RFC 6749 section 3.3). */
  readonly scopes: string
  /** SHA-256 of a personal token, or of the secret of a session, in hex. */
  readonly secretHash: string | null
  /** What the person showed when it was made, separated by spaces; see {@link Factor}. */
  readonly factors: string
  /** Of the client that made a session, such as `Firefox` and `Linux`; null if unknown. */
  readonly browser: string | null
  readonly system: string | null
  /** Default: now. */
  readonly createdAt?: number
  /** Null for a personal token that never expires. */
  readonly expiresAt: number | null
}

/** Conditions for adding a token, and what to do with it. */
export interface TokenConditions {
  /** Added in the same transaction, as by `events.add`. */
  readonly withEvent?: { readonly event: NewEvent, readonly keep: KeptEvents }
  /** The password and the factors that the account must still have. */
  readonly verified?: VerifiedAccount
  readonly maxTokens?: number
  /** The token expires this long after it was created, or at its `expiresAt` if that is earlier. */
  readonly lifetimeMilliseconds?: number
}

/** A token as stored. */
export interface TokenRecord extends NewToken {
  readonly id: number
  readonly createdAt: number
  readonly lastUsedAt: number | null
}

/** `now` is the time at which the token was read: it tells whether the token has expired. */
export interface TokenAndAccount { readonly token: TokenRecord, readonly account: AccountRecord, readonly now: number }

/** A security event of an account, or with the `accountId` null, of the whole store. */
export interface NewEvent {
  readonly accountId: number | null
  /** Default: the name that the account has. */
  readonly username?: string | null
  readonly kind: string
  /** What changed, for the operator: JSON without secrets. */
  readonly details?: EventDetails | null
  readonly network: string
  readonly requestId: string
  /** Default: now. */
  readonly at?: number
}

/** How many events of an account are kept: about the latest `all`, and at least the latest `ofKind` of each kind. */
export interface KeptEvents { readonly all: number, readonly ofKind: number }

export type EventDetails = Readonly<Record<string, string | number | boolean | null>>

/** A security event as stored; a later one has a higher id. It outlives its account. */
export interface EventRecord extends Required<NewEvent> { readonly id: number }

/** Which events to list: of an account and of earlier accounts with its name, since a time. */
export interface EventSelection {
  readonly account?: { readonly id?: number | undefined, readonly username: string } | undefined
  readonly since?: number | undefined
  readonly limit: number
}

/** A file whose bytes are on stable storage already. */
export interface NewFile {
  readonly ownerId: number
  /** Its path: segments joined by `/`. */
  readonly name: string
  readonly size: number
  /** A well-formed media type, sent as `Content-Type`. */
  readonly type: string
  readonly sha256: string
  readonly blobId: string
  /** The client's time of the content; null if it was not told. */
  readonly modifiedAt: number | null
  /** Whether the blob has a lease, which must not have run out. */
  readonly isLeased: boolean
}

/** A file as stored. Its id stays when it is renamed or gets new content. */
export interface FileRecord extends Omit<NewFile, 'isLeased'> {
  readonly id: number
  /** Of the folder that it is in; 0 for the root. */
  readonly folderId: number
  readonly createdAt: number
  readonly updatedAt: number
  /** When these bytes were stored. A rename does not change it. */
  readonly storedAt: number
}

/** Sort orders of a listing. Files that compare equal are ordered by id. */
export const fileOrders = ['name', '-name', 'newest', 'oldest', 'largest', 'smallest'] as const
export type FileOrder = typeof fileOrders[number]

/** Which part of a listing to read. */
export interface FilePage {
  readonly order: FileOrder
  /**
   * Only files directly in the folder with this path; empty for the root. Undefined for all files, which is valid with
   * the orders by name only: first those in the root, then folder after folder by their ids.
   */
  readonly folder: string | undefined
  /** Only last segments with this prefix; valid with a folder and the orders by name only. */
  readonly prefix: string | undefined
  readonly limit: number
  /** The last file of the previous page; undefined for the first page. */
  readonly after: FilePosition | undefined
}

/**
 * Where a page of a listing ends: the value that it is ordered by (last segment of the name, creation time or size) and
 * the id of the file; in a listing of all files, the id of its folder.
 */
export interface FilePosition { readonly key: string | number, readonly id: number }

/** A part of what is directly in a folder, by name: at most `limit` with a last segment after `after`. */
export interface SegmentPage { readonly after: string | undefined, readonly limit: number }

/** Which part of what is directly in any of some folders to read, in the order of folders and names. */
export interface MemberPage<Record> {
  /** 0 for the root. */
  readonly folderIds: readonly number[]
  /** The last one of the page before. */
  readonly after: Record | undefined
  readonly limit: number
}

/**
 * What to search for, and which part of what is found to read. Without a folder, all files in every order. `after` is
 * valid in the orders by name only.
 */
export interface FileSearch extends Omit<FilePage, 'prefix'> {
  /** What the last segment of the name contains, whatever the case and accents. Not empty, no control characters. */
  readonly contains: string
  /** Ends the search early: then it returns what it has found. */
  readonly signal: AbortSignal
}

/** A page of a search. The `id` of a position is that of the folder. */
export interface FoundFiles {
  /** May be fewer than the limit, or none, also if there are more. */
  readonly files: readonly FileRecord[]
  /** The names that it looked at, at most 100,000. */
  readonly searched: number
  /** Where the next page begins; undefined if there are no more, and in an order that is not by name. */
  readonly next: FilePosition | undefined
}

/** A folder as stored. Its id stays when it is moved. */
export interface FolderRecord {
  readonly id: number
  /** Of the folder that it is in; 0 for the root. */
  readonly parentId: number
  /** Segments joined by `/`. */
  readonly path: string
  readonly createdAt: number
}

/** Bytes that must be in the blob store. */
export interface StoredContent {
  readonly content: 'file' | 'version' | 'trash'
  readonly blobId: string
  readonly size: number
  readonly sha256: string
  readonly ownerId: number
  /** Of the file; null for a version of a deleted one. */
  readonly name: string | null
}

interface Usage {
  readonly bytes: number
  readonly files: number
  readonly folders: number
  readonly keptBytes: number
  readonly keptContents: number
}

/** An account whose recorded usage is not the sum of its files. */
export interface UsageMismatch { readonly accountId: number, readonly recorded: Usage, readonly actual: Usage }
