import type { SQL } from 'drizzle-orm'
import { blob, customType, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { createTables, jsonText, type Dialect } from '../schema.ts'

// AUTOINCREMENT, not plain rowids: SQLite would reuse the id of a deleted last row.
const identity = (name: string) => integer(name).primaryKey({ autoIncrement: true })

/** SQLite compares text by code point. */
const dialect = {
  table: sqliteTable,
  index,
  uniqueIndex,
  primaryKey,
  number: integer,
  boolean: (name: string) => integer(name, { mode: 'boolean' }),
  text,
  key: text,
  // Not stored: no column can be added that is.
  computed: (expression: SQL) => (name: string) =>
    integer(name).generatedAlwaysAs(expression, { mode: 'virtual' }).notNull(),
  bytes: (name: string) => blob(name, { mode: 'buffer' }),
  json: (name: string) => customType(jsonText)(name),
  identity,
  uploadId: (name: string) => text(name).notNull().unique('uploads_id'),
  uploadSequence: identity
}

/** Blobs whose bytes are to be deleted. A row is added with the deletion of the file, and deleted with the bytes. */
export const discardedBlobs = sqliteTable('discarded_blobs', {
  id: identity('id'),
  blobId: text('blob_id').notNull(),
  discardedAt: integer('discarded_at').notNull().default(0)
}, table => [uniqueIndex('discarded_blobs_blob').on(table.blobId)])

export const {
  accounts, tokens, attempts, accountNetworks, events,
  totpSecrets, passkeys, identities, recoveryCodes, oneTimeSecrets, connections, usedChallenges,
  files, folders, kept, pictures, deletions, locks, changes, links, linkNetworks, uploads, blobLeases
} = createTables(dialect as unknown as Dialect)

/** One row: the id of the installation, which is the audience of its tokens, and its epoch. */
export const installation = sqliteTable('installation', {
  id: text('id').primaryKey(),
  // No backup has it.
  epoch: text('epoch')
})
