import { isNotNull, isNull } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex, type AnySQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { Precondition } from '../preconditions.ts'
import type { StoredUpload } from '../uploads.ts'

/** One row: the id of the installation, which is the audience of its tokens. */
export const installation = sqliteTable('installation', {
  id: text('id').primaryKey()
})

// AUTOINCREMENT, not plain rowids: SQLite would reuse the id of a deleted last row.
export const accounts = sqliteTable('accounts', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  username: text('username').notNull(),
  usernameKey: text('username_key').notNull(),
  passwordHash: text('password_hash').notNull(),
  createdAt: integer('created_at').notNull(),
  quotaBytes: integer('quota_bytes'),
  quotaFiles: integer('quota_files'),
  // Updated with every change of a file, in the same transaction, so that checking a quota does not sum all files.
  usedBytes: integer('used_bytes').notNull().default(0),
  usedFiles: integer('used_files').notNull().default(0),
  keptBytes: integer('kept_bytes').notNull().default(0),
  disabledAt: integer('disabled_at'),
  // Set when the account is deleted; the row stays until its files are deleted, in batches.
  removedAt: integer('removed_at')
}, table => [
  uniqueIndex('accounts_username_key').on(table.usernameKey),
  // Partial: few accounts are being deleted, and every sweep looks for one.
  index('accounts_removed').on(table.removedAt).where(isNotNull(table.removedAt))
])

export const tokens = sqliteTable('tokens', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  accountId: integer('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  kind: text('kind', { enum: ['access', 'personal', 'session'] }).notNull(),
  // An access token is deleted with the personal token or session that it was issued for.
  parentId: integer('parent_id').references((): AnySQLiteColumn => tokens.id, { onDelete: 'cascade' }),
  name: text('name'),
  scopes: text('scopes').notNull(),
  secretHash: text('secret_hash'),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at'),
  lastUsedAt: integer('last_used_at')
}, table => [
  uniqueIndex('tokens_secret_hash').on(table.secretHash),
  index('tokens_account').on(table.accountId, table.id),
  index('tokens_parent').on(table.parentId),
  index('tokens_expiry').on(table.kind, table.expiresAt)
])

/** Recent failed sign-ins and registrations, for the attempt limiter. */
export const attempts = sqliteTable('attempts', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  kind: text('kind', { enum: ['sign_in', 'registration'] }).notNull(),
  network: text('network').notNull(),
  // A digest of the username, whether an account has it or not: counting must not reveal which exist.
  usernameKey: text('username_key').notNull(),
  // Whether the account had signed in from this network before.
  isKnownNetwork: integer('is_known_network', { mode: 'boolean' }).notNull(),
  at: integer('at').notNull()
}, table => [
  index('attempts_pair').on(table.kind, table.usernameKey, table.network, table.at),
  index('attempts_network').on(table.kind, table.network, table.at),
  index('attempts_account').on(table.kind, table.usernameKey, table.isKnownNetwork, table.at),
  index('attempts_at').on(table.at)
])

/** Networks that an account has signed in from. */
export const accountNetworks = sqliteTable('account_networks', {
  accountId: integer('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  network: text('network').notNull(),
  firstAt: integer('first_at').notNull()
}, table => [
  primaryKey({ columns: [table.accountId, table.network] })
])

/** The event log of an account, for its owner. */
export const events = sqliteTable('events', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  accountId: integer('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  kind: text('kind').notNull(),
  network: text('network').notNull(),
  requestId: text('request_id').notNull(),
  at: integer('at').notNull()
}, table => [
  index('events_account').on(table.accountId, table.id)
])

export const files = sqliteTable('files', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  ownerId: integer('owner_id').notNull().references(() => accounts.id),
  name: text('name').notNull(),
  size: integer('size').notNull(),
  type: text('type').notNull(),
  sha256: text('sha256').notNull(),
  blobId: text('blob_id').notNull(),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
  storedAt: integer('stored_at').notNull().default(0)
}, table => [
  uniqueIndex('files_owner_name').on(table.ownerId, table.name),
  uniqueIndex('files_blob').on(table.blobId),
  index('files_owner_created').on(table.ownerId, table.createdAt, table.id),
  index('files_owner_size').on(table.ownerId, table.size, table.id)
])

/** Versions of files, and deleted files with their last content. */
export const kept = sqliteTable('kept', {
  // Of the blob: it is what is kept.
  id: text('id').primaryKey(),
  ownerId: integer('owner_id').notNull().references(() => accounts.id),
  // A file that is restored gets its id back.
  fileId: integer('file_id').notNull(),
  // Of a deleted file; null for a version.
  name: text('name'),
  size: integer('size').notNull(),
  type: text('type').notNull(),
  sha256: text('sha256').notNull(),
  storedAt: integer('stored_at').notNull(),
  // When the deleted file was created.
  createdAt: integer('created_at'),
  keptAt: integer('kept_at').notNull()
}, table => [
  index('kept_owner').on(table.ownerId, table.keptAt, table.id),
  index('kept_trash').on(table.ownerId, table.keptAt, table.id).where(isNotNull(table.name)),
  index('kept_file').on(table.fileId, table.keptAt, table.id),
  index('kept_age').on(table.keptAt, table.id)
])

/** Uploads that a client can continue. A row without a result is unfinished, and owns its blob. */
export const uploads = sqliteTable('uploads', {
  sequence: integer('sequence').primaryKey({ autoIncrement: true }),
  id: text('id').notNull(),
  ownerId: integer('owner_id').notNull().references(() => accounts.id),
  name: text('name').notNull(),
  type: text('type').notNull(),
  blobId: text('blob_id').notNull(),
  length: integer('length'),
  method: text('method', { enum: ['POST', 'PUT'] }).notNull(),
  // JSON, as the next ones of this kind: nothing looks into them.
  precondition: text('precondition', { mode: 'json' }).$type<Precondition>().notNull(),
  uploadMetadata: text('upload_metadata'),
  reprDigest: text('repr_digest'),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  offset: integer('received_bytes').notNull().default(0),
  // Of the blob store.
  state: text('state'),
  generation: integer('generation').notNull().default(1),
  isAppending: integer('is_appending', { mode: 'boolean' }).notNull().default(false),
  isRefused: integer('is_refused', { mode: 'boolean' }).notNull().default(false),
  result: text('result', { mode: 'json' }).$type<StoredUpload>()
}, table => [
  uniqueIndex('uploads_id').on(table.id),
  uniqueIndex('uploads_blob').on(table.blobId),
  index('uploads_owner').on(table.ownerId),
  // Partial, because every change of a file under a quota sums the unfinished uploads of its owner, and most are finished.
  index('uploads_unfinished').on(table.ownerId, table.sequence).where(isNull(table.result)),
  index('uploads_expiry').on(table.expiresAt)
])

/** Blobs whose bytes are to be deleted. A row is added in the transaction that deletes the file, and deleted when the bytes are. */
export const discardedBlobs = sqliteTable('discarded_blobs', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  blobId: text('blob_id').notNull(),
  discardedAt: integer('discarded_at').notNull().default(0)
}, table => [
  uniqueIndex('discarded_blobs_blob').on(table.blobId)
])

/** Blobs that are being written to a store that can't tell which writes were interrupted. */
export const blobLeases = sqliteTable('blob_leases', {
  blobId: text('blob_id').primaryKey(),
  // After this time the lease is given out to be cleaned up.
  expiresAt: integer('expires_at').notNull(),
  // When it was first given out: from then on no file can use the blob.
  abandonedAt: integer('abandoned_at')
}, table => [
  index('blob_leases_expiry').on(table.expiresAt)
])
