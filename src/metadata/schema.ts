import { type HasDefault, isNotNull, isNull, type NotNull, sql } from 'drizzle-orm'
import type {
  AnyPgColumn, index, PgBigInt53BuilderInitial, PgBooleanBuilderInitial, PgCustomColumnBuilder, pgTable, primaryKey,
  text, uniqueIndex
} from 'drizzle-orm/pg-core'
import { attemptKinds } from './attempt-records.ts'
import { changeKinds } from './change-records.ts'
import { linkKinds } from './link-records.ts'
import type { Precondition } from './preconditions.ts'
import type { Property } from './property-records.ts'
import type { EventDetails } from './records.ts'
import type { StoreResult } from './upload-records.ts'

type NumberColumn = PgBigInt53BuilderInitial<string>
type CustomColumn<T> = PgCustomColumnBuilder<{ name: string, dataType: 'custom', columnType: 'PgCustomColumn', data: T, driverParam: string, enumValues: undefined }>

/** The kinds of tables, indexes and columns of a database, as Drizzle types those of PostgreSQL. */
export interface Dialect {
  readonly table: typeof pgTable
  readonly index: typeof index
  readonly uniqueIndex: typeof uniqueIndex
  readonly primaryKey: typeof primaryKey
  /** A safe integer: milliseconds, bytes, a count or an id. */
  readonly number: (name: string) => NumberColumn
  readonly boolean: (name: string) => PgBooleanBuilderInitial<string>
  readonly text: typeof text
  /** Text that is compared by code point. */
  readonly key: (name: string) => CustomColumn<string>
  /** JSON that nothing looks into. */
  readonly json: <T>(name: string) => CustomColumn<T>
  /** The primary key: a number that is never used twice. */
  readonly identity: (name: string) => HasDefault<NotNull<NumberColumn>>
  /** SQLite needs `sequence` as the primary key of `uploads` to count it up; in PostgreSQL that is `id`. */
  readonly uploadId: (name: string) => NotNull<CustomColumn<string>>
  readonly uploadSequence: (name: string) => HasDefault<NotNull<NumberColumn>>
}

/** A kind of columns: JSON in text that no query looks into. Of a placeholder, Drizzle also encodes null. */
export const jsonText = {
  dataType: () => 'text',
  toDriver: (value: unknown): string => value === null ? value as never : JSON.stringify(value),
  fromDriver: (text: unknown): never => JSON.parse(String(text)) as never
}

/** The columns that all databases have of the blobs whose bytes are to be deleted. */
type DiscardedBlobs = ReturnType<typeof pgTable<'discarded_blobs', { id: HasDefault<NotNull<NumberColumn>>, blobId: NotNull<CustomColumn<string>>, discardedAt: NotNull<NumberColumn> }>>

/** The tables that every database has. */
export type Tables = ReturnType<typeof createTables> & { readonly discardedBlobs: DiscardedBlobs }

/** The tables that every database has. Tables of one database, or with other columns, are in its own `schema.ts`. */
export function createTables ({
  table, index, uniqueIndex, primaryKey, number, boolean, text, key, json, identity, uploadId, uploadSequence
}: Dialect) {
  const accounts = table('accounts', {
    id: identity('id'),
    username: text('username').notNull(),
    usernameKey: key('username_key').notNull(),
    passwordHash: text('password_hash').notNull(),
    createdAt: number('created_at').notNull(),
    quotaBytes: number('quota_bytes'),
    quotaFiles: number('quota_files'),
    // Updated with every change of a file, in the same transaction, so that checking a quota does not sum all files.
    usedBytes: number('used_bytes').notNull().default(0),
    usedFiles: number('used_files').notNull().default(0),
    usedFolders: number('used_folders').notNull().default(0),
    keptBytes: number('kept_bytes').notNull().default(0),
    keptContents: number('kept_contents').notNull().default(0),
    // No lock lasts longer: if it has passed, a change need not look for locks.
    lockedUntil: number('locked_until').notNull().default(0),
    // With a factor the password alone opens nothing: known without a further query.
    factorCount: number('factor_count').notNull().default(0),
    factorVersion: number('factor_version').notNull().default(0),
    disabledAt: number('disabled_at'),
    // Set when the account is deleted; the row stays until its files are deleted, in batches.
    removedAt: number('removed_at')
  }, columns => [
    uniqueIndex('accounts_username_key').on(columns.usernameKey),
    // Partial: few accounts are being deleted, and every sweep looks for one.
    index('accounts_removed').on(columns.removedAt).where(isNotNull(columns.removedAt))
  ])

  /** What ends with an account. */
  const account = (name: string) => number(name).references(() => accounts.id, { onDelete: 'cascade' })

  const tokens = table('tokens', {
    id: identity('id'),
    accountId: account('account_id').notNull(),
    kind: text('kind', { enum: ['access', 'personal', 'session'] }).notNull(),
    // An access token is deleted with the personal token or session that it was issued for.
    parentId: number('parent_id').references((): AnyPgColumn => tokens.id, { onDelete: 'cascade' }),
    name: text('name'),
    scopes: text('scopes').notNull(),
    secretHash: key('secret_hash'),
    factors: text('factors').notNull().default('password'),
    browser: text('browser'),
    system: text('system'),
    createdAt: number('created_at').notNull(),
    expiresAt: number('expires_at'),
    lastUsedAt: number('last_used_at')
  }, columns => [
    uniqueIndex('tokens_secret_hash').on(columns.secretHash),
    index('tokens_account').on(columns.accountId, columns.id),
    index('tokens_parent').on(columns.parentId),
    index('tokens_expiry').on(columns.kind, columns.expiresAt)
  ])

  /** Recent failed sign-ins, wrong codes and registrations, for the attempt limiter. */
  const attempts = table('attempts', {
    id: identity('id'),
    kind: text('kind', { enum: attemptKinds }).notNull(),
    network: key('network').notNull(),
    // A digest of the username, whether an account has it or not: counting must not reveal which exist.
    usernameKey: key('username_key').notNull(),
    // Whether the account had signed in from this network before.
    isKnownNetwork: boolean('is_known_network').notNull(),
    at: number('at').notNull()
  }, columns => [
    index('attempts_pair').on(columns.kind, columns.usernameKey, columns.network, columns.at),
    index('attempts_network').on(columns.kind, columns.network, columns.at),
    index('attempts_account').on(columns.kind, columns.usernameKey, columns.isKnownNetwork, columns.at),
    index('attempts_at').on(columns.at)
  ])

  /** Networks that an account has signed in from. */
  const accountNetworks = table('account_networks', {
    accountId: account('account_id').notNull(),
    network: key('network').notNull(),
    firstAt: number('first_at').notNull()
  }, columns => [primaryKey({ columns: [columns.accountId, columns.network] })])

  /** The event log of an account, for its owner. */
  const events = table('events', {
    id: identity('id'),
    // Not a reference: an event outlives its account. Null for the whole store.
    accountId: number('account_id'),
    username: text('username'),
    kind: text('kind').notNull(),
    details: json<EventDetails>('details'),
    network: text('network').notNull(),
    requestId: text('request_id').notNull(),
    at: number('at').notNull()
  }, columns => [index('events_account').on(columns.accountId, columns.id)])

  /** One-time codes: the secret that is on, and one that its owner has to confirm. */
  const totpSecrets = table('totp_secrets', {
    accountId: account('account_id').notNull(),
    state: text('state', { enum: ['on', 'pending'] }).notNull(),
    // Sealed.
    secret: text('secret').notNull(),
    lastStep: number('last_step').notNull().default(0),
    createdAt: number('created_at').notNull(),
    // Of a pending one.
    expiresAt: number('expires_at')
  }, columns => [primaryKey({ columns: [columns.accountId, columns.state] })])

  const passkeys = table('passkeys', {
    id: identity('id'),
    accountId: account('account_id').notNull(),
    name: text('name').notNull(),
    credentialId: key('credential_id').notNull(),
    publicKey: text('public_key').notNull(),
    userHandle: text('user_handle').notNull(),
    counter: number('counter').notNull(),
    createdAt: number('created_at').notNull(),
    lastUsedAt: number('last_used_at')
  }, columns => [
    uniqueIndex('passkeys_credential').on(columns.credentialId),
    index('passkeys_account').on(columns.accountId, columns.id)
  ])

  const recoveryCodes = table('recovery_codes', {
    accountId: account('account_id').notNull(),
    hash: key('hash').notNull()
  }, columns => [primaryKey({ columns: [columns.accountId, columns.hash] })])

  /** Secrets that are used once, within a time: a row is deleted when it is used. */
  const oneTimeSecrets = table('one_time_secrets', {
    hash: key('hash').primaryKey(),
    kind: text('kind', { enum: ['invitation', 'reset', 'confirmation'] }).notNull(),
    accountId: account('account_id'),
    username: text('username'),
    removesFactors: boolean('removes_factors').notNull().default(false),
    expiresAt: number('expires_at').notNull()
  }, columns => [
    index('one_time_secrets_account').on(columns.accountId),
    index('one_time_secrets_expiry').on(columns.expiresAt)
  ])

  /** Challenges of passkeys that were used: they are signed, and not kept before. */
  const usedChallenges = table('used_challenges', {
    id: key('id').primaryKey(),
    expiresAt: number('expires_at').notNull()
  }, columns => [index('used_challenges_expiry').on(columns.expiresAt)])

  const files = table('files', {
    id: identity('id'),
    ownerId: number('owner_id').notNull().references(() => accounts.id),
    // 0 for the root.
    folderId: number('folder_id').notNull().default(0),
    // The last segment of the name that clients see.
    name: key('name').notNull(),
    size: number('size').notNull(),
    type: text('type').notNull(),
    sha256: text('sha256').notNull(),
    blobId: key('blob_id').notNull(),
    createdAt: number('created_at').notNull(),
    updatedAt: number('updated_at').notNull(),
    storedAt: number('stored_at').notNull().default(0),
    modifiedAt: number('modified_at'),
    properties: json<readonly Property[]>('properties')
  }, columns => [
    uniqueIndex('files_folder_name').on(columns.ownerId, columns.folderId, columns.name),
    uniqueIndex('files_blob').on(columns.blobId),
    index('files_folder_created').on(columns.ownerId, columns.folderId, columns.createdAt, columns.id),
    index('files_folder_size').on(columns.ownerId, columns.folderId, columns.size, columns.id)
  ])

  /** Folders, but not the root. A move changes the paths of the folders below, and no file. */
  const folders = table('folders', {
    id: identity('id'),
    ownerId: number('owner_id').notNull().references(() => accounts.id),
    // 0 for the root.
    parentId: number('parent_id').notNull(),
    // The last segment of the path.
    name: key('name').notNull(),
    path: key('path').notNull(),
    createdAt: number('created_at').notNull(),
    properties: json<readonly Property[]>('properties')
  }, columns => [
    uniqueIndex('folders_path').on(columns.ownerId, columns.path),
    uniqueIndex('folders_parent_name').on(columns.ownerId, columns.parentId, columns.name),
    index('folders_owner').on(columns.ownerId, columns.id)
  ])

  /** Versions of files, and deleted files with their last content. */
  const kept = table('kept', {
    // Of the blob: it is what is kept.
    id: key('id').primaryKey(),
    ownerId: number('owner_id').notNull().references(() => accounts.id),
    // A file that is restored gets its id back.
    fileId: number('file_id').notNull(),
    // Of a deleted file; null for a version.
    name: key('name'),
    size: number('size').notNull(),
    type: text('type').notNull(),
    sha256: text('sha256').notNull(),
    storedAt: number('stored_at').notNull(),
    // When the deleted file was created.
    createdAt: number('created_at'),
    keptAt: number('kept_at').notNull(),
    modifiedAt: number('modified_at'),
    // The recursive deletion of a folder that took it.
    deletedWith: key('deleted_with'),
    // Of a deleted file.
    properties: json<readonly Property[]>('properties')
  }, columns => [
    // With the size, because only content that is not empty makes room.
    index('kept_owner').on(columns.ownerId, columns.keptAt, columns.id, columns.size),
    index('kept_trash').on(columns.ownerId, columns.keptAt, columns.id).where(isNotNull(columns.name)),
    index('kept_file').on(columns.fileId, columns.keptAt, columns.id),
    index('kept_age').on(columns.keptAt, columns.id),
    index('kept_deletion').on(columns.ownerId, columns.deletedWith, columns.keptAt, columns.id)
      .where(isNotNull(columns.deletedWith))
  ])

  /** Write locks. A row that has expired locks nothing. */
  const locks = table('locks', {
    token: key('token').primaryKey(),
    ownerId: account('owner_id').notNull(),
    path: key('path').notNull(),
    isFolder: boolean('is_folder').notNull(),
    isDeep: boolean('is_deep').notNull(),
    isExclusive: boolean('is_exclusive').notNull(),
    owner: text('owner'),
    seconds: number('seconds').notNull(),
    expiresAt: number('expires_at').notNull()
  }, columns => [
    index('locks_owner').on(columns.ownerId, columns.path),
    index('locks_expiry').on(columns.expiresAt)
  ])

  /** What has changed in the tree of an account: a row is written by the transaction of the change. */
  const changes = table('changes', {
    // In the order of an account's commits: its row is locked before a number is taken.
    id: identity('id'),
    ownerId: account('owner_id').notNull(),
    kind: text('kind', { enum: changeKinds }).notNull(),
    name: key('name').notNull(),
    // The name before a move.
    fromName: key('from_name'),
    // One of the two is null. Not references: a change outlives its file or folder.
    fileId: number('file_id'),
    folderId: number('folder_id'),
    at: number('at').notNull()
  }, columns => [index('changes_owner').on(columns.ownerId, columns.id)])

  /** A link ends with the row of its account, file or folder. */
  const links = table('links', {
    id: identity('id'),
    accountId: account('account_id').notNull(),
    kind: text('kind', { enum: linkKinds }).notNull(),
    // One of the two is null.
    fileId: number('file_id').references(() => files.id, { onDelete: 'cascade' }),
    folderId: number('folder_id').references(() => folders.id, { onDelete: 'cascade' }),
    secretHash: key('secret_hash').notNull(),
    // Null if it could not be sealed, or was restored from a backup.
    secretSealed: text('secret_sealed'),
    passwordHash: text('password_hash'),
    expiresAt: number('expires_at'),
    maxFiles: number('max_files'),
    maxBytes: number('max_bytes'),
    showsOwner: boolean('shows_owner').notNull(),
    usedFiles: number('used_files').notNull().default(0),
    usedBytes: number('used_bytes').notNull().default(0),
    createdAt: number('created_at').notNull(),
    uses: number('uses').notNull().default(0),
    lastUsedAt: number('last_used_at')
  }, columns => [
    uniqueIndex('links_secret_hash').on(columns.secretHash),
    index('links_account').on(columns.accountId, columns.id),
    // Partial: every deletion of a file or folder looks for its links.
    index('links_file').on(columns.fileId).where(isNotNull(columns.fileId)),
    index('links_folder').on(columns.folderId).where(isNotNull(columns.folderId))
  ])

  /** Networks that a link was unlocked from with its password. */
  const linkNetworks = table('link_networks', {
    linkId: number('link_id').notNull().references(() => links.id, { onDelete: 'cascade' }),
    network: key('network').notNull(),
    firstAt: number('first_at').notNull()
  }, columns => [primaryKey({ columns: [columns.linkId, columns.network] })])

  /** Uploads that a client can continue. A row without a result is unfinished, and owns its blob. */
  const uploads = table('uploads', {
    sequence: uploadSequence('sequence'),
    id: uploadId('id'),
    ownerId: number('owner_id').notNull().references(() => accounts.id),
    // Not a reference: the bytes of an upload whose link has ended must still be discarded.
    linkId: number('link_id'),
    name: key('name').notNull(),
    type: text('type').notNull(),
    blobId: key('blob_id').notNull(),
    length: number('length'),
    method: text('method', { enum: ['POST', 'PUT'] }).notNull(),
    // JSON that no query looks into, as `result`.
    precondition: json<Precondition>('precondition').notNull(),
    uploadMetadata: text('upload_metadata'),
    reprDigest: text('repr_digest'),
    modifiedAt: number('modified_at'),
    createdAt: number('created_at').notNull(),
    expiresAt: number('expires_at').notNull(),
    offset: number('received_bytes').notNull().default(0),
    // Of the blob store.
    state: text('state'),
    generation: number('generation').notNull().default(1),
    isAppending: boolean('is_appending').notNull().default(false),
    isRefused: boolean('is_refused').notNull().default(false),
    result: json<StoreResult>('result')
  }, columns => [
    uniqueIndex('uploads_blob').on(columns.blobId),
    index('uploads_owner').on(columns.ownerId),
    // Partial: every change of a file sums the unfinished uploads of its owner, and most uploads are finished.
    index('uploads_unfinished').on(columns.ownerId, columns.sequence).where(isNull(columns.result)),
    // Of these only the newest are remembered.
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
  const blobLeases = table('blob_leases', {
    blobId: key('blob_id').primaryKey(),
    // After this time the lease can be claimed, and its bytes are deleted.
    expiresAt: number('expires_at').notNull(),
    // When it was first claimed: from then on no file can use the blob.
    abandonedAt: number('abandoned_at')
  }, columns => [index('blob_leases_expiry').on(columns.expiresAt)])

  return {
    accounts,
    tokens,
    attempts,
    accountNetworks,
    events,
    totpSecrets,
    passkeys,
    recoveryCodes,
    oneTimeSecrets,
    usedChallenges,
    files,
    folders,
    kept,
    locks,
    changes,
    links,
    linkNetworks,
    uploads,
    blobLeases
  }
}
