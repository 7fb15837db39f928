import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

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
  usedFiles: integer('used_files').notNull().default(0)
}, table => [
  uniqueIndex('accounts_username_key').on(table.usernameKey)
])

export const tokens = sqliteTable('tokens', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  accountId: integer('account_id').notNull().references(() => accounts.id, { onDelete: 'cascade' }),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull()
}, table => [
  index('tokens_account').on(table.accountId, table.id),
  index('tokens_expiry').on(table.expiresAt)
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
