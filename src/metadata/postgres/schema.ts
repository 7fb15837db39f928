import { isNotNull, isNull } from 'drizzle-orm'
import { bigint, boolean, customType, index, integer, pgTable, primaryKey, text, uniqueIndex, type AnyPgColumn } from 'drizzle-orm/pg-core'
import type { Precondition } from '../preconditions.ts'
import type { StoredUpload } from '../uploads.ts'

/** Milliseconds, bytes and ids are safe integers, which the driver would return as text. */
const int8 = (name: string) => bigint(name, { mode: 'number' })

/** `BY DEFAULT`, so that a restore can keep the ids. A sequence never returns a number twice. */
const identity = () => int8('id').primaryKey().generatedByDefaultAsIdentity()

/** Text compared byte by byte, which in UTF-8 is by code point, and not by the rules of a language. */
const byCodePoint = customType<{ data: string, driverData: string }>({ dataType: () => 'text COLLATE "C"' })

/** JSON that nothing looks into. */
const json = <T>(name: string) => customType<{ data: T, driverData: string }>({
  dataType: () => 'text',
  toDriver: value => JSON.stringify(value),
  fromDriver: text => JSON.parse(text) as T
})(name)

/** One row: the id of the installation, which is the audience of its tokens, and the id of the blob store that it was first used with. */
export const installation = pgTable('installation', {
  id: text('id').primaryKey(),
  storageId: text('storage_id')
})

export const accounts = pgTable('accounts', {
  id: identity(),
  username: text('username').notNull(),
  usernameKey: byCodePoint('username_key').notNull(),
  passwordHash: text('password_hash').notNull(),
  createdAt: int8('created_at').notNull(),
  quotaBytes: int8('quota_bytes'),
  quotaFiles: int8('quota_files'),
  // Updated with every change of a file, in the same transaction, so that checking a quota does not sum all files.
  usedBytes: int8('used_bytes').notNull().default(0),
  usedFiles: int8('used_files').notNull().default(0),
  keptBytes: int8('kept_bytes').notNull().default(0),
  disabledAt: int8('disabled_at'),
  // Set when the account is deleted; the row stays until its files are deleted, in batches.
  removedAt: int8('removed_at')
}, table => [
  uniqueIndex('accounts_username_key').on(table.usernameKey),
  // Partial: few accounts are being deleted, and every sweep looks for one.
  index('accounts_removed').on(table.removedAt).where(isNotNull(table.removedAt))
])

export const tokens = pgTable('tokens', {
  id: identity(),
  accountId: int8('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  kind: text('kind', { enum: ['access', 'personal', 'session'] }).notNull(),
  // An access token is deleted with the personal token or session that it was issued for.
  parentId: int8('parent_id').references((): AnyPgColumn => tokens.id, { onDelete: 'cascade' }),
  name: text('name'),
  scopes: text('scopes').notNull(),
  secretHash: byCodePoint('secret_hash'),
  createdAt: int8('created_at').notNull(),
  expiresAt: int8('expires_at'),
  lastUsedAt: int8('last_used_at')
}, table => [
  uniqueIndex('tokens_secret_hash').on(table.secretHash),
  index('tokens_account').on(table.accountId, table.id),
  index('tokens_parent').on(table.parentId),
  index('tokens_expiry').on(table.kind, table.expiresAt)
])

/** Recent failed sign-ins and registrations, for the attempt limiter. */
export const attempts = pgTable('attempts', {
  id: identity(),
  kind: text('kind', { enum: ['sign_in', 'registration'] }).notNull(),
  network: byCodePoint('network').notNull(),
  // A digest of the username, whether an account has it or not: counting must not reveal which exist.
  usernameKey: byCodePoint('username_key').notNull(),
  // Whether the account had signed in from this network before.
  isKnownNetwork: boolean('is_known_network').notNull(),
  at: int8('at').notNull()
}, table => [
  index('attempts_pair').on(table.kind, table.usernameKey, table.network, table.at),
  index('attempts_network').on(table.kind, table.network, table.at),
  index('attempts_account').on(table.kind, table.usernameKey, table.isKnownNetwork, table.at),
  index('attempts_at').on(table.at)
])

/** Attempts under way. A row counts until it expires, in case its process ends before the attempt is finished. */
export const attemptClaims = pgTable('attempt_claims', {
  id: identity(),
  kind: text('kind', { enum: ['sign_in', 'registration'] }).notNull(),
  network: byCodePoint('network').notNull(),
  usernameKey: byCodePoint('username_key').notNull(),
  isKnownNetwork: boolean('is_known_network').notNull(),
  expiresAt: int8('expires_at').notNull()
}, table => [
  index('attempt_claims_network').on(table.kind, table.network),
  index('attempt_claims_account').on(table.kind, table.usernameKey)
])

/** Networks that an account has signed in from. */
export const accountNetworks = pgTable('account_networks', {
  accountId: int8('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  network: byCodePoint('network').notNull(),
  firstAt: int8('first_at').notNull()
}, table => [
  primaryKey({ columns: [table.accountId, table.network] })
])

/** The event log of an account, for its owner. */
export const events = pgTable('events', {
  id: identity(),
  accountId: int8('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  kind: text('kind').notNull(),
  network: text('network').notNull(),
  requestId: text('request_id').notNull(),
  at: int8('at').notNull()
}, table => [
  index('events_account').on(table.accountId, table.id)
])

export const files = pgTable('files', {
  id: identity(),
  ownerId: int8('owner_id').notNull().references(() => accounts.id),
  name: byCodePoint('name').notNull(),
  size: int8('size').notNull(),
  type: text('type').notNull(),
  sha256: text('sha256').notNull(),
  blobId: byCodePoint('blob_id').notNull(),
  createdAt: int8('created_at').notNull(),
  updatedAt: int8('updated_at').notNull(),
  storedAt: int8('stored_at').notNull().default(0)
}, table => [
  uniqueIndex('files_owner_name').on(table.ownerId, table.name),
  uniqueIndex('files_blob').on(table.blobId),
  index('files_owner_created').on(table.ownerId, table.createdAt, table.id),
  index('files_owner_size').on(table.ownerId, table.size, table.id)
])

/** Versions of files, and deleted files with their last content. */
export const kept = pgTable('kept', {
  // Of the blob: it is what is kept.
  id: byCodePoint('id').primaryKey(),
  ownerId: int8('owner_id').notNull().references(() => accounts.id),
  // A file that is restored gets its id back.
  fileId: int8('file_id').notNull(),
  // Of a deleted file; null for a version.
  name: byCodePoint('name'),
  size: int8('size').notNull(),
  type: text('type').notNull(),
  sha256: text('sha256').notNull(),
  storedAt: int8('stored_at').notNull(),
  // When the deleted file was created.
  createdAt: int8('created_at'),
  keptAt: int8('kept_at').notNull()
}, table => [
  index('kept_owner').on(table.ownerId, table.keptAt, table.id),
  index('kept_trash').on(table.ownerId, table.keptAt, table.id).where(isNotNull(table.name)),
  index('kept_file').on(table.fileId, table.keptAt, table.id),
  index('kept_age').on(table.keptAt, table.id)
])

/** Uploads that a client can continue. A row without a result is unfinished, and owns its blob. */
export const uploads = pgTable('uploads', {
  id: byCodePoint('id').primaryKey(),
  sequence: int8('sequence').generatedByDefaultAsIdentity().notNull(),
  ownerId: int8('owner_id').notNull().references(() => accounts.id),
  name: byCodePoint('name').notNull(),
  type: text('type').notNull(),
  blobId: byCodePoint('blob_id').notNull(),
  length: int8('length'),
  method: text('method', { enum: ['POST', 'PUT'] }).notNull(),
  precondition: json<Precondition>('precondition').notNull(),
  uploadMetadata: text('upload_metadata'),
  reprDigest: text('repr_digest'),
  createdAt: int8('created_at').notNull(),
  expiresAt: int8('expires_at').notNull(),
  offset: int8('received_bytes').notNull().default(0),
  // Of the blob store.
  state: text('state'),
  generation: int8('generation').notNull().default(1),
  isAppending: boolean('is_appending').notNull().default(false),
  isRefused: boolean('is_refused').notNull().default(false),
  result: json<StoredUpload>('result')
}, table => [
  uniqueIndex('uploads_blob').on(table.blobId),
  index('uploads_owner').on(table.ownerId),
  // Partial, because every change of a file under a quota sums the unfinished uploads of its owner, and most are finished.
  index('uploads_unfinished').on(table.ownerId, table.sequence).where(isNull(table.result)),
  index('uploads_expiry').on(table.expiresAt)
])

/** Blobs whose bytes are to be deleted. A row is added in the transaction that deletes the file, and deleted when the bytes are. */
export const discardedBlobs = pgTable('discarded_blobs', {
  id: identity(),
  blobId: byCodePoint('blob_id').notNull(),
  discardedAt: int8('discarded_at').notNull(),
  // The process that deletes the bytes, and until when no other does.
  claimedBy: text('claimed_by'),
  claimedUntil: int8('claimed_until').notNull().default(0)
}, table => [
  uniqueIndex('discarded_blobs_blob').on(table.blobId),
  // Oldest first, so that rows in their grace period, which are most, are not read.
  index('discarded_blobs_age').on(table.discardedAt, table.id)
])

/** Blobs that are being written to a store that can't tell which writes were interrupted. */
export const blobLeases = pgTable('blob_leases', {
  blobId: byCodePoint('blob_id').primaryKey(),
  // After this time the lease is given out to be cleaned up.
  expiresAt: int8('expires_at').notNull(),
  // When it was first given out: from then on no file can use the blob.
  abandonedAt: int8('abandoned_at')
}, table => [
  index('blob_leases_expiry').on(table.expiresAt)
])

/** The retention locks of running backups: until they expire, no bytes of discarded blobs are deleted. */
export const retentionLocks = pgTable('blob_holds', {
  id: identity(),
  expiresAt: int8('expires_at').notNull()
})

/** The keys of the access tokens, by position; the first signs. */
export const signingKeys = pgTable('signing_keys', {
  kid: text('kid').primaryKey(),
  secret: text('secret').notNull(),
  position: integer('position').notNull()
})
