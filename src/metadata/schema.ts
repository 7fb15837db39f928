import {
  type ColumnBuilderBase, type HasDefault, type HasGenerated, isNotNull, isNull, type NotNull, type SQL, sql
} from 'drizzle-orm'
import type {
  AnyPgColumn, index, PgBigInt53BuilderInitial, PgBooleanBuilderInitial, PgCustomColumnBuilder, pgTable, primaryKey,
  text, uniqueIndex
} from 'drizzle-orm/pg-core'
import type { Attempt } from './attempt-records.ts'
import type { Precondition } from './preconditions.ts'
import type { Property } from './property-records.ts'
import { snakeCase } from './rule.ts'

type NumberColumn = PgBigInt53BuilderInitial<string>
type CustomColumn<T> = PgCustomColumnBuilder<{
  name: string, dataType: 'custom', columnType: 'PgCustomColumn', data: T, driverParam: string, enumValues: undefined
}>

/** A row of a table. */
export type RowOf<Name extends keyof Tables> = Readonly<Tables[Name]['$inferSelect']>

/** Makes a column with a name. */
type ColumnOf<Builder> = (name: string) => Builder

/** The kinds of tables, indexes and columns of a database, as Drizzle types those of PostgreSQL. */
export interface Dialect {
  readonly table: typeof pgTable
  readonly index: typeof index
  readonly uniqueIndex: typeof uniqueIndex
  readonly primaryKey: typeof primaryKey
  /** A safe integer: milliseconds, bytes, a count or an id. */
  readonly number: ColumnOf<NumberColumn>
  readonly boolean: ColumnOf<PgBooleanBuilderInitial<string>>
  readonly text: typeof text
  /** Text that is compared by code point. */
  readonly key: ColumnOf<CustomColumn<string>>
  /** A number that the database computes from other columns. */
  readonly computed: (expression: SQL) => ColumnOf<HasGenerated<NotNull<NumberColumn>>>
  readonly bytes: ColumnOf<CustomColumn<Buffer>>
  /** JSON that nothing looks into. */
  readonly json: <T>(name: string) => CustomColumn<T>
  /** The primary key: a number that is never used twice. */
  readonly identity: ColumnOf<HasDefault<NotNull<NumberColumn>>>
  /** SQLite needs `sequence` as the primary key of `uploads` to count it up; in PostgreSQL that is `id`. */
  readonly uploadId: ColumnOf<NotNull<CustomColumn<string>>>
  readonly uploadSequence: ColumnOf<HasDefault<NotNull<NumberColumn>>>
}

/** A kind of columns: JSON in text that no query looks into. Of a placeholder, Drizzle also encodes null. */
export const jsonText = {
  dataType: () => 'text',
  toDriver: (value: unknown): string => value === null ? value as never : JSON.stringify(value),
  fromDriver: (text: unknown): never => JSON.parse(String(text)) as never
}

/** The columns that all databases have of the blobs whose bytes are to be deleted. */
type DiscardedBlobs = ReturnType<typeof pgTable<'discarded_blobs', {
  id: HasDefault<NotNull<NumberColumn>>, blobId: NotNull<CustomColumn<string>>, discardedAt: NotNull<NumberColumn>
}>>

/** The tables that every database has. */
export type Tables = ReturnType<typeof createTables> & { readonly discardedBlobs: DiscardedBlobs }

/** A column that is never null. */
const required = <Builder extends ColumnBuilderBase & { notNull (): unknown }>(column: ColumnOf<Builder>) =>
  (name: string) => column(name).notNull() as NotNull<Builder>

/** Columns whose names are their keys in snake case. */
export function named<Columns extends Readonly<Record<string, ColumnOf<unknown>>>> (columns: Columns) {
  const made = Object.entries(columns).map(([key, column]) => [key, column(snakeCase(key))])
  return Object.fromEntries(made) as { [Key in keyof Columns]: ReturnType<Columns[Key]> }
}

/** The tables that every database has. Tables of one database, or with other columns, are in its own `schema.ts`. */
export function createTables (dialect: Dialect) {
  const {
    table, index, uniqueIndex, primaryKey, identity, computed, json, uploadId, uploadSequence, ...optional
  } = dialect
  // Columns that are not optional have a value in every row.
  const number = required(optional.number)
  const text = required((name: string) => optional.text(name))
  const key = required(optional.key)
  const boolean = required(optional.boolean)
  const keyOfRow = (name: string) => key(name).primaryKey()
  const zero = (name: string) => number(name).default(0)
  const no = (name: string) => boolean(name).default(false)
  const word = <Words extends string>(name: string) => text(name).$type<Words>()
  const owner = (name: string) => number(name).references(() => accounts.id)
  /** A reference to a row with which this one ends. */
  const endsWith = (target: () => AnyPgColumn) => (name: string) =>
    optional.number(name).references(target, { onDelete: 'cascade' })
  const optionalAccount = endsWith(() => accounts.id)
  const account = required(optionalAccount)

  const accounts = table('accounts', named({
    id: identity,
    // As typed at registration.
    username: text,
    // The normalised username.
    usernameKey: key,
    passwordHash: text,
    createdAt: number,
    // Limits that the operator set for this account; null: those of the settings apply.
    quotaBytes: optional.number,
    quotaFiles: optional.number,
    // Updated with every change of a file, in the same transaction, so that checking a quota does not sum all files.
    usedBytes: zero,
    usedFiles: zero,
    usedFolders: zero,
    // Of versions and trash.
    keptBytes: zero,
    keptContents: zero,
    // No lock lasts longer: if it has passed, a change need not look for locks.
    lockedUntil: zero,
    // With a factor the password alone opens nothing: known without a further query.
    factorCount: zero,
    // Changes with the factors.
    factorVersion: zero,
    // When the operator disabled the account; null if it is enabled.
    disabledAt: optional.number,
    // When an identity last signed it in; without a password, its tokens rest some time after that.
    providerSignInAt: optional.number,
    // Set when the account is deleted; the row stays until its files are deleted, in batches.
    removedAt: optional.number
  }), columns => [
    uniqueIndex('accounts_username_key').on(columns.usernameKey),
    // Partial: few accounts are being deleted, and every sweep looks for one.
    index('accounts_removed').on(columns.removedAt).where(isNotNull(columns.removedAt))
  ])

  const tokens = table('tokens', named({
    id: identity,
    accountId: account,
    kind: word<'access' | 'personal' | 'session'>,
    // An access token is deleted with the personal token or session that it was issued for.
    parentId: endsWith((): AnyPgColumn => tokens.id),
    // Of a personal token.
    name: optional.text,
    // Separated by spaces (RFC 6749 section 3.3).
    scopes: text,
    // SHA-256 of a personal token, or of the secret of a session, in hex.
    secretHash: optional.key,
    // What the person showed when it was made, separated by spaces.
    factors: name => text(name).default('password'),
    // Of the client that made a session, such as `Firefox` and `Linux`; null if unknown.
    browser: optional.text,
    system: optional.text,
    createdAt: number,
    // Null for a personal token that never expires.
    expiresAt: optional.number,
    lastUsedAt: optional.number
  }), columns => [
    uniqueIndex('tokens_secret_hash').on(columns.secretHash),
    index('tokens_account').on(columns.accountId, columns.id),
    index('tokens_parent').on(columns.parentId),
    index('tokens_expiry').on(columns.kind, columns.expiresAt)
  ])

  /** Recent failed sign-ins, wrong codes and registrations, for the attempt limiter. */
  const attempts = table('attempts', named({
    id: identity,
    kind: word<Attempt['kind']>,
    network: key,
    // A digest of the username, whether an account has it or not: counting must not reveal which exist.
    usernameKey: key,
    // Whether the account had signed in from this network before.
    isKnownNetwork: boolean,
    at: number
  }), columns => [
    index('attempts_pair').on(columns.kind, columns.usernameKey, columns.network, columns.at),
    index('attempts_network').on(columns.kind, columns.network, columns.at),
    index('attempts_account').on(columns.kind, columns.usernameKey, columns.isKnownNetwork, columns.at),
    index('attempts_at').on(columns.at)
  ])

  /** Networks that an account has signed in from. */
  const accountNetworks = table('account_networks', named({
    accountId: account,
    network: key,
    firstAt: number
  }), columns => [primaryKey({ columns: [columns.accountId, columns.network] })])

  /** The event log of an account, for its owner. */
  const events = table('events', named({
    id: identity,
    // Not a reference: an event outlives its account. Null for the whole store.
    accountId: optional.number,
    username: optional.text,
    kind: text,
    // What changed, for the operator: without secrets.
    details: json<Readonly<Record<string, string | number | boolean | null>>>,
    network: text,
    requestId: text,
    at: number
  }), columns => [index('events_account').on(columns.accountId, columns.id)])

  /** One-time codes: the secret that is on, and one that its owner has to confirm. */
  const totpSecrets = table('totp_secrets', named({
    accountId: account,
    state: word<'on' | 'pending'>,
    // Sealed.
    secret: text,
    // The latest time step of which a code was used.
    lastStep: zero,
    createdAt: number,
    // Of a pending one.
    expiresAt: optional.number
  }), columns => [primaryKey({ columns: [columns.accountId, columns.state] })])

  const passkeys = table('passkeys', named({
    id: identity,
    accountId: account,
    // Given by the owner.
    name: text,
    // Base64url.
    credentialId: key,
    // A COSE_Key (RFC 9052 section 7), in base64url.
    publicKey: text,
    // The random id of the account that the authenticator returns with an assertion, in base64url.
    userHandle: text,
    // How often the authenticator has signed; 0 if it does not count.
    counter: number,
    createdAt: number,
    lastUsedAt: optional.number
  }), columns => [
    uniqueIndex('passkeys_credential').on(columns.credentialId),
    index('passkeys_account').on(columns.accountId, columns.id)
  ])

  /** Identities at a provider (OpenID Connect Core 1.0 section 5.7) that sign an account in. */
  const identities = table('identities', named({
    id: identity,
    accountId: account,
    // The two together are the identity.
    issuer: key,
    subject: key,
    // How the provider calls it, to be shown only.
    label: optional.text,
    createdAt: number,
    lastUsedAt: number
  }), columns => [
    uniqueIndex('identities_subject').on(columns.issuer, columns.subject),
    index('identities_account').on(columns.accountId, columns.id)
  ])

  const recoveryCodes = table('recovery_codes', named({
    accountId: account,
    hash: key
  }), columns => [primaryKey({ columns: [columns.accountId, columns.hash] })])

  /** Secrets that are used once, within a time: a row is deleted when it is used. */
  const oneTimeSecrets = table('one_time_secrets', named({
    // SHA-256 of the secret, in hex.
    hash: keyOfRow,
    kind: word<'invitation' | 'reset' | 'confirmation' | 'identity'>,
    // Null for an invitation.
    accountId: optionalAccount,
    // The name that an invitation is for; null if the person chooses one.
    username: optional.text,
    // Whether a reset also removes the factors.
    removesFactors: no,
    expiresAt: number
  }), columns => [
    index('one_time_secrets_account').on(columns.accountId),
    index('one_time_secrets_expiry').on(columns.expiresAt)
  ])

  /** Connections of programs that are open: a row is deleted when the program picks up its token. */
  const connections = table('connections', named({
    // Random: who allows a connection must know its id.
    id: keyOfRow,
    // SHA-256 of the code that a person types, and of the secret of the program, in hex.
    codeHash: key,
    secretHash: key,
    // Of the token that it becomes.
    name: text,
    scopes: text,
    // Those that it was requested from, by which open connections are limited.
    network: key,
    block: key,
    expiresAt: number,
    // Who allowed it, and what they had shown for that; null until then.
    accountId: optionalAccount,
    factors: optional.text
  }), columns => [
    uniqueIndex('connections_code').on(columns.codeHash),
    index('connections_account').on(columns.accountId),
    index('connections_expiry').on(columns.expiresAt)
  ])

  /** Challenges of passkeys and providers that were used: they are signed, and not kept before. */
  const usedChallenges = table('used_challenges', named({
    id: keyOfRow,
    expiresAt: number
  }), columns => [index('used_challenges_expiry').on(columns.expiresAt)])

  /** `sortKeyOf` of the name; null in rows of an older version until they are filled. */
  const sortKey = optional.key

  const files = table('files', named({
    id: identity,
    ownerId: owner,
    // 0 for the root.
    folderId: zero,
    // The last segment of the name that clients see.
    name: key,
    size: number,
    // A well-formed media type, sent as `Content-Type`.
    type: text,
    sha256: text,
    blobId: key,
    createdAt: number,
    updatedAt: number,
    // When these bytes were stored. A rename does not change it.
    storedAt: zero,
    // The client's time of the content; null if it was not told.
    modifiedAt: optional.number,
    // When the content was last changed, as far as it is known.
    changedAt: computed(sql`coalesce(modified_at, stored_at)`),
    // What `pictures` knows of the content.
    takenAt: optional.number,
    hasThumbnail: no,
    // What a timeline is ordered by.
    taken: computed(sql`coalesce(taken_at, modified_at, stored_at)`),
    // 1 for a picture, 2 for a video, 0 for all else.
    kind: computed(sql`CASE lower(substr(type, 1, 6)) WHEN 'image/' THEN 1 WHEN 'video/' THEN 2 ELSE 0 END`),
    sortKey,
    properties: json<readonly Property[]>,
    isStarred: no
  }), columns => [
    uniqueIndex('files_folder_name').on(columns.ownerId, columns.folderId, columns.name),
    index('files_folder_natural').on(columns.ownerId, columns.folderId, columns.sortKey, columns.name),
    index('files_without_sort_key').on(columns.id).where(isNull(columns.sortKey)),
    uniqueIndex('files_blob').on(columns.blobId),
    index('files_folder_created').on(columns.ownerId, columns.folderId, columns.createdAt, columns.id),
    index('files_folder_changed').on(columns.ownerId, columns.folderId, columns.changedAt, columns.id),
    index('files_folder_size').on(columns.ownerId, columns.folderId, columns.size, columns.id),
    index('files_changed').on(columns.ownerId, columns.changedAt, columns.id),
    // Partial: few have a star.
    index('files_starred').on(columns.ownerId, columns.folderId, columns.name).where(sql`${columns.isStarred}`),
    index('files_content').on(columns.ownerId, columns.sha256),
    // Partial: most files are neither pictures nor videos. With what a timeline is filtered by.
    index('files_taken').on(columns.ownerId, columns.taken, columns.id, columns.kind, columns.folderId)
      .where(sql`${columns.kind} > 0`)
  ])

  /** Folders, but not the root. A move changes the paths of the folders below, and no file. */
  const folders = table('folders', named({
    id: identity,
    ownerId: owner,
    // 0 for the root.
    parentId: number,
    // The last segment of the path.
    name: key,
    path: key,
    sortKey,
    createdAt: number,
    properties: json<readonly Property[]>,
    isStarred: no
  }), columns => [
    uniqueIndex('folders_path').on(columns.ownerId, columns.path),
    uniqueIndex('folders_parent_name').on(columns.ownerId, columns.parentId, columns.name),
    index('folders_parent_natural').on(columns.ownerId, columns.parentId, columns.sortKey, columns.name),
    index('folders_without_sort_key').on(columns.id).where(isNull(columns.sortKey)),
    index('folders_owner').on(columns.ownerId, columns.id),
    index('folders_starred').on(columns.ownerId, columns.parentId, columns.name).where(sql`${columns.isStarred}`)
  ])

  /** Versions of files, deleted files with their last content, and deleted folders, which have none. */
  const kept = table('kept', named({
    // Of the blob: it is what is kept. Of a folder, that of its deletion and its path.
    id: keyOfRow,
    ownerId: owner,
    // A file that is restored gets its id back. That of a folder is negative.
    fileId: number,
    // Of a deleted file; null for a version and a folder.
    name: optional.key,
    size: number,
    type: text,
    sha256: text,
    // When its bytes were stored.
    storedAt: number,
    // When the deleted file was created.
    createdAt: optional.number,
    // When it was replaced or deleted.
    keptAt: number,
    modifiedAt: optional.number,
    // The deletion of a folder or of many files that took it; null if it was deleted alone.
    deletedWith: optional.key,
    // Of a deleted file.
    properties: json<readonly Property[]>,
    // The path of a deleted folder; null for all else.
    folder: optional.key,
    // Of a deleted file or folder.
    isStarred: no
  }), columns => [
    // With the size, because only content that is not empty makes room.
    index('kept_owner').on(columns.ownerId, columns.keptAt, columns.id, columns.size),
    index('kept_trash').on(columns.ownerId, columns.keptAt, columns.id).where(isNotNull(columns.name)),
    index('kept_alone').on(columns.ownerId, columns.keptAt, columns.id)
      .where(sql`${isNotNull(columns.name)} and ${isNull(columns.deletedWith)}`),
    index('kept_file').on(columns.fileId, columns.keptAt, columns.id),
    index('kept_content').on(columns.ownerId, columns.sha256),
    index('kept_age').on(columns.keptAt, columns.id),
    index('kept_deletion').on(columns.ownerId, columns.deletedWith, columns.keptAt, columns.id)
      .where(isNotNull(columns.deletedWith))
  ])

  /**
   * What clients told of pictures and videos, by their content: a small picture, and when it was taken. A row ends with
   * the last file and kept content that has these bytes. The small pictures are no blobs: a grid asks for a hundred of
   * them, which would be as many files to open, or requests to a bucket.
   */
  const pictures = table('pictures', named({
    ownerId: owner,
    sha256: key,
    // Of `bytes`; 0 without.
    size: zero,
    // Whether no file has the content, only versions and trash. Then `size` is in `keptBytes`, else in `usedBytes`.
    isKept: no,
    // Milliseconds since 1970 of the local time, as if it were UTC; null if it is not known.
    takenAt: optional.number,
    // Of `bytes`.
    type: optional.text,
    // The small picture; null if only the date is known. The last column, for long rows are read from their beginning.
    bytes: optional.bytes
  }), columns => [primaryKey({ columns: [columns.ownerId, columns.sha256] })])

  /** What deletions of folders and of many files have in the trash. A row ends with the last of that. */
  const deletions = table('deletions', named({
    // The `deletedWith` of what is in the trash.
    id: keyOfRow,
    ownerId: owner,
    kind: word<'file' | 'folder' | 'many'>,
    // The path of what was deleted; of many, that of the folder that all of them were in.
    name: key,
    files: number,
    folders: number,
    // Of the files, without their versions.
    size: number,
    deletedAt: number
  }), columns => [index('deletions_owner').on(columns.ownerId, columns.deletedAt, columns.id)])

  /** Write locks. A row that has expired locks nothing. */
  const locks = table('locks', named({
    // `urn:uuid:` and a random UUID.
    token: keyOfRow,
    ownerId: account,
    // Of the file or folder that was locked, the lock root.
    path: key,
    // Whether the lock root is a folder.
    isFolder: boolean,
    // Whether it also locks all that is or comes below.
    isDeep: boolean,
    // Whether nobody else can have a lock; otherwise others can have shared ones.
    isExclusive: boolean,
    // The element `DAV:owner` as XML; null without one.
    owner: optional.text,
    // How long it lasts.
    seconds: number,
    expiresAt: number
  }), columns => [
    index('locks_owner').on(columns.ownerId, columns.path),
    index('locks_expiry').on(columns.expiresAt)
  ])

  /** What has changed in the tree of an account: a row is written by the transaction of the change. */
  const changes = table('changes', named({
    // In the order of an account's commits: its row is locked before a number is taken.
    id: identity,
    ownerId: account,
    kind: word<
      'stored' | 'moved' | 'deleted' | 'starred' | 'folder_made' | 'folder_moved' | 'folder_deleted' | 'folder_starred'
    >,
    // The path of the file or folder, after a move the new one.
    name: key,
    // The path before a move.
    fromName: optional.key,
    // One of the two is null. Not references: a change outlives its file or folder.
    fileId: optional.number,
    folderId: optional.number,
    at: number,
    // Of the link by which a visitor stored the file. Not a reference: a change outlives the link.
    linkId: optional.number
  }), columns => [index('changes_owner').on(columns.ownerId, columns.id)])

  /** A link ends with the row of its account, file or folder. */
  const links = table('links', named({
    id: identity,
    accountId: account,
    kind: word<'download' | 'upload'>,
    // One of the two is null.
    fileId: endsWith(() => files.id),
    folderId: endsWith(() => folders.id),
    // SHA-256 of the secret, in hex.
    secretHash: key,
    // The secret, encrypted for its owner; null if that failed, or after a restore from a backup.
    secretSealed: optional.text,
    // Null for a link that needs none.
    passwordHash: optional.text,
    // Null for never.
    expiresAt: optional.number,
    // What an `upload` link accepts; null for the other kind.
    maxFiles: optional.number,
    maxBytes: optional.number,
    // Of a link for one upload: the segment that its file is stored under, and the digest that it must have; else null.
    fileName: optional.text,
    sha256: optional.text,
    showsOwner: boolean,
    // What was stored by it. Unfinished uploads count too, but not here.
    usedFiles: zero,
    usedBytes: zero,
    createdAt: number,
    uses: zero,
    lastUsedAt: optional.number
  }), columns => [
    uniqueIndex('links_secret_hash').on(columns.secretHash),
    // Links for one upload are counted and listed apart.
    index('links_account').on(columns.accountId, columns.fileName, columns.id),
    index('links_one_upload').on(columns.expiresAt).where(isNotNull(columns.fileName)),
    // Partial: every deletion of a file or folder looks for its links.
    index('links_file').on(columns.fileId).where(isNotNull(columns.fileId)),
    index('links_folder').on(columns.folderId).where(isNotNull(columns.folderId))
  ])

  /** Networks that a link was unlocked from with its password. */
  const linkNetworks = table('link_networks', named({
    linkId: required(endsWith(() => links.id)),
    network: key,
    firstAt: number
  }), columns => [primaryKey({ columns: [columns.linkId, columns.network] })])

  /** Uploads that a client can continue. A row without a result is unfinished, and owns its blob. */
  const uploads = table('uploads', named({
    // Newer uploads have a higher one. For pages.
    sequence: uploadSequence,
    // 32 lower-case hex digits, random: part of its URL.
    id: uploadId,
    ownerId: owner,
    // The link that it came by: then `name` is one segment, in the folder of the link. Null for the owner's own. Not a
    // reference: the bytes of an upload whose link has ended must still be discarded.
    linkId: optional.number,
    // Of the file that it becomes.
    name: key,
    type: text,
    blobId: key,
    // Of the file; null while the client has not announced it.
    length: optional.number,
    // That created it: `POST` creates a file, `PUT` also replaces one. A precondition overrides that.
    method: word<'POST' | 'PUT'>,
    // JSON that no query looks into, as `result`.
    precondition: required(json<Precondition>),
    // `Upload-Metadata` and `Repr-Digest` as sent; the file must match the digest.
    uploadMetadata: optional.text,
    reprDigest: optional.text,
    // The client's time of the content; null if it was not told.
    modifiedAt: optional.number,
    createdAt: number,
    expiresAt: number,
    // Bytes from the beginning that are on stable storage.
    offset: () => zero('received_bytes'),
    // What the blob store needs to go on; null at the beginning. Opaque to all other code.
    state: optional.text,
    // Raised by each request that takes the upload over: one with an older generation can no longer change it.
    generation: name => number(name).default(1),
    // Whether a request appends bytes, or did when its process died.
    isAppending: no,
    // Whether all bytes are there, but a precondition refused the file.
    isRefused: no,
    // A `StoreResult`.
    result: json<unknown>
  }), columns => [
    uniqueIndex('uploads_blob').on(columns.blobId),
    index('uploads_owner').on(columns.ownerId),
    // Partial: every change of a file sums the unfinished uploads of its owner, and most uploads are finished.
    index('uploads_unfinished').on(columns.ownerId, columns.sequence).where(isNull(columns.result)),
    // Finds the oldest finished uploads, which are deleted.
    index('uploads_finished').on(columns.ownerId, columns.expiresAt, columns.sequence)
      .where(sql`${isNotNull(columns.result)} and ${isNull(columns.linkId)}`),
    index('uploads_expiry').on(columns.expiresAt),
    // Partial: most uploads are the owner's own.
    index('uploads_unfinished_by_link').on(columns.linkId)
      .where(sql`${isNotNull(columns.linkId)} and ${isNull(columns.result)}`),
    index('uploads_finished_by_link').on(columns.linkId, columns.expiresAt, columns.sequence)
      .where(sql`${isNotNull(columns.linkId)} and ${isNotNull(columns.result)}`)
  ])

  /** Blobs that are being written to a store that can't tell which writes were interrupted. */
  const blobLeases = table('blob_leases', named({
    blobId: keyOfRow,
    // After this time a sweep takes the blob, and its bytes are deleted.
    expiresAt: number,
    // When it was first taken: from then on no file can use the blob.
    abandonedAt: optional.number
  }), columns => [index('blob_leases_expiry').on(columns.expiresAt)])

  return {
    accounts,
    tokens,
    attempts,
    accountNetworks,
    events,
    totpSecrets,
    passkeys,
    identities,
    recoveryCodes,
    oneTimeSecrets,
    connections,
    usedChallenges,
    files,
    folders,
    kept,
    pictures,
    deletions,
    locks,
    changes,
    links,
    linkNetworks,
    uploads,
    blobLeases
  }
}
