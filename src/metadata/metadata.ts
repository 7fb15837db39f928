/**
 * Facts about accounts, tokens and files: the contract that every backend keeps.
 *
 * Each method is one atomic act: it happens whole or not at all, also when the process or the power dies, and what it
 * decides (who has a name, whether a quota holds) it decides inside the same transaction that writes. When a promise of
 * a writing method resolves, the change is on stable storage. Acts that arrive together may share one commit; if that
 * commit fails, every one of them rejects and none has happened.
 *
 * Reads see what was committed before they were called. No method finds a file without its owner, except those that
 * serve recovery and say so. Times are milliseconds since 1970 (UTC), sizes are bytes, `sha256` is 64 lower-case hex
 * digits. Names are compared code point by code point; callers bring them to NFC first.
 *
 * A method throws `Problem` only with the codes it names. `storage_full` can come from every writing method.
 */
export interface Metadata {
  /** A random name of this installation, made with the database; the audience of its tokens. */
  readonly installationId: string

  /** Adds a person. Ids count from 1 and are never used twice. @throws username_taken when another has `usernameKey`. */
  addAccount (account: NewAccount): Promise<AccountRecord>
  findAccount (id: number): Promise<AccountRecord | undefined>
  findAccountByKey (usernameKey: string): Promise<AccountRecord | undefined>

  addToken (token: NewToken): Promise<TokenRecord>
  /** The token and the person it speaks for, in one look-up; undefined where it was revoked or the person is gone. */
  findToken (id: number): Promise<{ token: TokenRecord, account: AccountRecord } | undefined>

  /**
   * Adds a file under a name that is free. Where the owner has that name already with the same size and sha256, nothing
   * changes and `isNew` is false; the new blob is then not used.
   * @throws name_taken where other bytes have the name, quota_exceeded where they would not fit.
   */
  addFile (file: NewFile, quota: Quota): Promise<{ file: FileRecord, isNew: boolean }>
  /**
   * Sets the bytes of a name, whether it is free or not. `permits` is asked inside the transaction with the file that
   * is there; the blob of a replaced file goes to the discarded ones.
   * @throws precondition_failed where `permits` says no, quota_exceeded where the bytes would not fit in place of the old ones.
   */
  putFile (file: NewFile, quota: Quota, permits: Permits): Promise<{ file: FileRecord, isNew: boolean }>
  findFile (ownerId: number, name: string): Promise<FileRecord | undefined>
  /** At most `limit` files behind `after`, in the order asked for; never the same file twice while others come and go. */
  listFiles (ownerId: number, page: FilePage): Promise<FileRecord[]>
  /** Gives a file another name; its bytes and its creation time stay. @throws not_found, name_taken. */
  renameFile (ownerId: number, name: string, newName: string, now: number): Promise<FileRecord>
  /** Forgets a file; its blob goes to the discarded ones. @throws not_found, precondition_failed. */
  removeFile (ownerId: number, name: string, permits: Permits): Promise<void>

  /** Of these blobs, the ones that a file has. For recovery. */
  knownBlobs (blobIds: string[]): Promise<Set<string>>
  /** Blobs that no file has any more and whose bytes may still be there, oldest first, at most `limit`. For recovery. */
  discardedBlobs (limit: number): Promise<string[]>
  /** The bytes of these blobs are gone for good. */
  forgetDiscarded (blobIds: string[]): Promise<void>

  close (): Promise<void>
}

/** Whether an act may go on, given the file that has the name now. It is pure and does not throw. */
export type Permits = (current: FileRecord | undefined) => boolean

/** The limits of one person; undefined where there is none. */
export interface Quota { readonly bytes: number | undefined, readonly files: number | undefined }

export interface NewAccount {
  /** As it was typed at registration. */
  readonly username: string
  /** What uniqueness is decided by. */
  readonly usernameKey: string
  readonly passwordHash: string
  readonly createdAt: number
}

export interface AccountRecord extends NewAccount {
  readonly id: number
  /** The operator's own limits for this person; null where the settings rule. */
  readonly quotaBytes: number | null
  readonly quotaFiles: number | null
  readonly usedBytes: number
  readonly usedFiles: number
}

export interface NewToken {
  readonly accountId: number
  readonly createdAt: number
  readonly expiresAt: number
}

export interface TokenRecord extends NewToken { readonly id: number }

export interface NewFile {
  readonly ownerId: number
  readonly name: string
  readonly size: number
  /** Media type as it goes into `Content-Type`; well formed. */
  readonly type: string
  readonly sha256: string
  readonly blobId: string
  /** Becomes `createdAt` of a new file and `updatedAt` of any. */
  readonly now: number
}

export interface FileRecord {
  readonly id: number
  readonly ownerId: number
  readonly name: string
  readonly size: number
  readonly type: string
  readonly sha256: string
  readonly blobId: string
  readonly createdAt: number
  readonly updatedAt: number
  /** True where other bytes had this name earlier in the second of `updatedAt`: a date of whole seconds can't tell the two apart. */
  readonly isDateShared: boolean
}

/** Orders of a listing; ties are broken by id, so that every order is total. */
export const fileOrders = ['name', '-name', 'newest', 'oldest', 'largest', 'smallest'] as const
export type FileOrder = typeof fileOrders[number]

export interface FilePage {
  readonly order: FileOrder
  /** Only names that begin so; goes with the name orders only. */
  readonly prefix: string | undefined
  readonly limit: number
  /** The place in the order behind which the page begins: the key of the last file seen, and its id. */
  readonly after: FilePosition | undefined
}

/** The value a listing is ordered by (name, creation time or size) and the id of the file that has it. */
export interface FilePosition { readonly key: string | number, readonly id: number }
