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
  /** Since when the operator keeps the person out; null where they do not. */
  readonly disabledAt: number | null
}

export interface NewToken {
  readonly accountId: number
  readonly kind: 'access' | 'personal'
  /** The personal token that this access token was issued for; it ends with it. */
  readonly parentId: number | null
  /** What its owner calls a personal token. */
  readonly name: string | null
  /** Separated by spaces, as RFC 6749 section 3.3 writes them. */
  readonly scopes: string
  /** SHA-256 of a personal token, in hex. */
  readonly secretHash: string | null
  readonly createdAt: number
  /** Null for a personal token without an end. */
  readonly expiresAt: number | null
}

/** What goes with the adding of a token. */
export interface TokenConditions {
  /** Remembered in the same act, as by `addEvent`. */
  readonly told?: { readonly event: NewEvent, readonly keep: number }
  /** The password hash that the owner must still have. */
  readonly passwordHash?: string
  readonly maxTokens?: number
}

export interface TokenRecord extends NewToken {
  readonly id: number
  readonly lastUsedAt: number | null
}

export interface TokenAndAccount { readonly token: TokenRecord, readonly account: AccountRecord }

export interface Attempt {
  readonly kind: 'sign_in' | 'registration'
  readonly network: string
  /** A digest of what the name is compared by; the same for the same name, whether anyone has it or not. */
  readonly usernameKey: string
  readonly isKnownNetwork: boolean
  readonly at: number
}

/** Which attempts are counted together: those of one network, of one name from it, or of one name from networks unknown to it. */
export type AttemptFilter =
  | { readonly kind: Attempt['kind'], readonly network: string }
  | { readonly kind: 'sign_in', readonly network: string, readonly usernameKey: string }
  | { readonly kind: 'sign_in', readonly usernameKey: string, readonly isKnownNetwork: false }

export interface NewEvent {
  readonly accountId: number
  readonly kind: string
  readonly network: string
  readonly requestId: string
  readonly at: number
}

export interface EventRecord extends NewEvent { readonly id: number }

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

export interface FileRecord extends Omit<NewFile, 'now'> {
  readonly id: number
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
