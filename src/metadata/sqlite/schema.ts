import { isNotNull } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex, type AnySQLiteColumn } from 'drizzle-orm/sqlite-core'

/** Facts about the installation itself, such as the audience of its tokens. */
export const installation = sqliteTable('installation', {
  id: text('id').primaryKey()
})

// AUTOINCREMENT, not plain rowids: SQLite would give the id of a deleted last row to the next one.
export const accounts = sqliteTable('accounts', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  username: text('username').notNull(),
  usernameKey: text('username_key').notNull(),
  passwordHash: text('password_hash').notNull(),
  createdAt: integer('created_at').notNull(),
  quotaBytes: integer('quota_bytes'),
  quotaFiles: integer('quota_files'),
  // Kept with every change of a file, in its transaction, so that a quota is decided without summing a person's files.
  usedBytes: integer('used_bytes').notNull().default(0),
  usedFiles: integer('used_files').notNull().default(0),
  disabledAt: integer('disabled_at'),
  // Set when the person is gone for everybody; the row stays until their files are, batch by batch.
  removedAt: integer('removed_at')
}, table => [
  uniqueIndex('accounts_username_key').on(table.usernameKey),
  // Few are on their way out, and every sweep asks for one.
  index('accounts_removed').on(table.removedAt).where(isNotNull(table.removedAt))
])

export const tokens = sqliteTable('tokens', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  accountId: integer('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  kind: text('kind', { enum: ['access', 'personal'] }).notNull(),
  // An access token ends with the personal one it was issued for.
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

/** Failed sign-ins and registrations, each counted for a while against whoever comes again from the same network. */
export const attempts = sqliteTable('attempts', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  kind: text('kind', { enum: ['sign_in', 'registration'] }).notNull(),
  network: text('network').notNull(),
  // The username's key, whether anyone has it or not: counting must not tell.
  usernameKey: text('username_key').notNull(),
  // Whether the person had signed in from this network before.
  isKnownNetwork: integer('is_known_network', { mode: 'boolean' }).notNull(),
  at: integer('at').notNull()
}, table => [
  index('attempts_pair').on(table.kind, table.usernameKey, table.network, table.at),
  index('attempts_network').on(table.kind, table.network, table.at),
  index('attempts_account').on(table.kind, table.usernameKey, table.isKnownNetwork, table.at),
  index('attempts_at').on(table.at)
])

/** Where a person has signed in from. */
export const accountNetworks = sqliteTable('account_networks', {
  accountId: integer('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  network: text('network').notNull(),
  firstAt: integer('first_at').notNull()
}, table => [
  primaryKey({ columns: [table.accountId, table.network] })
])

/** What happened to an account, for its owner to see. */
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
  isDateShared: integer('is_date_shared', { mode: 'boolean' }).notNull().default(false)
}, table => [
  uniqueIndex('files_owner_name').on(table.ownerId, table.name),
  uniqueIndex('files_blob').on(table.blobId),
  index('files_owner_created').on(table.ownerId, table.createdAt, table.id),
  index('files_owner_size').on(table.ownerId, table.size, table.id)
])

/** The journal of deletion: written with the fact, emptied when the bytes are gone. */
export const discardedBlobs = sqliteTable('discarded_blobs', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  blobId: text('blob_id').notNull()
}, table => [
  uniqueIndex('discarded_blobs_blob').on(table.blobId)
])
