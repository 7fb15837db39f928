import type { RowOf } from './schema.ts'

/** The limits of one account; undefined means no limit. */
export interface Quota { readonly bytes: number | undefined, readonly files: number | undefined }

/** An account's own limit that lifts the limit of the settings: no account reaches it. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER

/** Bytes and files. */
export interface Amount { readonly bytes: number, readonly files: number }

/** An account with its usage, as of when it was read. */
export type AccountRecord = Omit<RowOf<'accounts'>, 'removedAt' | 'keptContents'>

/** An account to be added. `createdAt` is now by default. */
export type NewAccount = Pick<AccountRecord, 'username' | 'usernameKey' | 'passwordHash'> &
  Partial<Pick<AccountRecord, 'createdAt' | 'providerSignInAt'>>

/** The `passwordHash` of an account without a password: no hash is empty. */
export const NO_PASSWORD = ''

/** An account as a request has verified it. A write that is given one fails if the password or the factors changed. */
export type VerifiedAccount = Pick<AccountRecord, 'id' | 'passwordHash' | 'factorVersion'>

/** An account, with the factors that it had when somebody signed in. */
export type FactorState = Pick<AccountRecord, 'id' | 'factorVersion'>

/** What a person shows to sign in. */
export const factors = ['password', 'totp', 'recovery_code', 'passkey', 'oidc'] as const
export type Factor = typeof factors[number]

/** A token as stored. */
export type TokenRecord = RowOf<'tokens'>

/** A token to be added. `createdAt` is now by default. No kind is stored as its text. */
export type NewToken = Omit<TokenRecord, 'id' | 'createdAt' | 'lastUsedAt'> & Partial<Pick<TokenRecord, 'createdAt'>>

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

/** `now` is the time at which the token was read: it tells whether the token has expired. */
export interface TokenAndAccount { readonly token: TokenRecord, readonly account: AccountRecord, readonly now: number }

/** A security event as stored; a later one has a higher id. It outlives its account. */
export type EventRecord = RowOf<'events'>

/**
 * A security event of an account, or with the `accountId` null, of the whole store. `username` is by default the name
 * that the account has, and `at` is now.
 */
export type NewEvent = Pick<EventRecord, 'accountId' | 'kind' | 'network' | 'requestId'> &
  Partial<Pick<EventRecord, 'username' | 'details' | 'at'>>

/** How many events of an account are kept: about the latest `all`, and at least the latest `ofKind` of each kind. */
export interface KeptEvents { readonly all: number, readonly ofKind: number }

export type EventDetails = NonNullable<EventRecord['details']>

/** Which events to list: of an account and of earlier accounts with its name, since a time. */
export interface EventSelection {
  readonly account?: { readonly id?: number | undefined, readonly username: string } | undefined
  readonly since?: number | undefined
  readonly limit: number
}

/** A file as stored. `name` is its path. Its id stays when it is renamed or gets new content. */
export type FileRecord = Omit<RowOf<'files'>, 'properties' | 'sortKey' | 'kind'>

/** A file whose bytes are on stable storage already. */
export interface NewFile
  extends Pick<FileRecord, 'ownerId' | 'name' | 'size' | 'type' | 'sha256' | 'blobId' | 'modifiedAt'> {
  /** Whether the blob has a lease, which must not have run out. */
  readonly isLeased: boolean
}

/** Sort orders by name: by code point, or as people sort names. A minus reverses the order. */
export const folderOrders = ['name', '-name', 'natural', '-natural'] as const
export type FolderOrder = typeof folderOrders[number]

/** Sort orders of a listing. Files that compare equal are ordered by id. */
export const fileOrders = [
  ...folderOrders, 'newest', 'oldest', 'changed', '-changed', 'largest', 'smallest'
] as const
export type FileOrder = typeof fileOrders[number]

/** Whether an order lists all files by when they were changed, if it has no folder. */
export function isByChange (order: FileOrder): boolean {
  return order === 'changed' || order === '-changed'
}

/** Which part of a listing to read. */
export interface FilePage {
  readonly order: FileOrder
  /**
   * Only files directly in the folder with this path; empty for the root. Undefined for all files, which is valid with
   * the orders `name` and `-name`, first those in the root, then folder after folder by their ids, and with `changed`
   * and `-changed`.
   */
  readonly folder: string | undefined
  /** Only last segments with this prefix; valid with a folder and the orders by name only. */
  readonly prefix: string | undefined
  readonly limit: number
  /** The last file of the previous page; undefined for the first page. */
  readonly after: FilePosition | undefined
}

/**
 * Where a page of a listing ends: the value that it is ordered by and an id. With a name, its last segment, that of
 * the folder that it is in; with a time or the size, that of the file.
 */
export interface FilePosition { readonly key: string | number, readonly id: number }

/** Which part of the folders directly in a folder to read, in an order by name. */
export interface FolderPage {
  readonly order: FolderOrder
  readonly limit: number
  /** The last folder of the previous page; undefined for the first page. */
  readonly after: FilePosition | undefined
}

/** Which part of what has a star to read: directly in a folder, or everywhere. */
export type StarredPage<Order> = Pick<FilePage, 'folder' | 'limit' | 'after'> & { readonly order: Order }

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

/** What to search for in the last segments of names, and where. */
export interface Search {
  /** A name contains all of these, whatever the case and accents. At least one; not empty, no control characters. */
  readonly texts: readonly string[]
  /** Where to search: directly in the folder with this path, empty for the root. Undefined for everywhere. */
  readonly folder: string | undefined
  /** Whether to search in all folders below too. Not for the root: that is everywhere. */
  readonly isBelow: boolean
  readonly limit: number
  /** Where the page before ended; valid in the order `name`, and for files not below a folder in `-name`. */
  readonly after: FilePosition | undefined
  /** Ends the search early: then it returns what it has found. */
  readonly signal: AbortSignal
}

/** Of all files in every order, but not `-name` below a folder. */
export interface FileSearch extends Search { readonly order: FileOrder }
export interface FolderSearch extends Search { readonly order: FolderOrder }

/** A page of a search. */
export interface Findings<Record> {
  /** May be fewer than the limit, or none, also if there are more. */
  readonly entries: readonly Record[]
  /** The names that it looked at, at most 100,000. */
  readonly searched: number
  /** Where the next page begins; undefined if there are no more, and in an order that has one page. */
  readonly next: FilePosition | undefined
}

/** A folder as stored. Its id stays when it is moved. */
export type FolderRecord = Omit<RowOf<'folders'>, 'properties' | 'ownerId' | 'name' | 'sortKey'>

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

/** What an account without files uses, in the units of its row. */
export const NO_USAGE = { usedBytes: 0, usedFiles: 0, usedFolders: 0, keptBytes: 0, keptContents: 0 }
export type Usage = Readonly<typeof NO_USAGE>
export const usageUnits = Object.keys(NO_USAGE) as (keyof Usage)[]

/** An account whose recorded usage is not the sum of its files. */
export interface UsageMismatch { readonly accountId: number, readonly recorded: Usage, readonly actual: Usage }
