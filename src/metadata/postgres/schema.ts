import {
  bigint, boolean, customType, index, integer, pgTable, primaryKey, text, uniqueIndex
} from 'drizzle-orm/pg-core'
import { attemptKinds } from '../attempt-records.ts'
import { createTables, type Dialect, jsonText } from '../schema.ts'

/** The driver would return it as text. */
const int8 = (name: string) => bigint(name, { mode: 'number' })

/** `BY DEFAULT`, so that a restore can keep the ids. A sequence never returns a number twice. */
const identity = (name: string) => int8(name).primaryKey().generatedByDefaultAsIdentity()

/** Text compared byte by byte, which in UTF-8 is by code point, and not by the rules of a language. */
const byCodePoint = customType<{ data: string, driverData: string }>({ dataType: () => 'text COLLATE "C"' })

const bytea = customType<{ data: Buffer, driverData: string }>({ dataType: () => 'bytea' })

const dialect: Dialect = {
  table: pgTable,
  index,
  uniqueIndex,
  primaryKey,
  number: int8,
  boolean,
  text,
  key: byCodePoint,
  computed: expression => name => int8(name).generatedAlwaysAs(expression).notNull(),
  bytes: bytea,
  json: <T>(name: string) => customType<{ data: T, driverData: string }>(jsonText)(name),
  identity,
  uploadId: name => byCodePoint(name).primaryKey(),
  uploadSequence: name => int8(name).generatedByDefaultAsIdentity().notNull()
}

export const {
  accounts, tokens, attempts, accountNetworks, events,
  totpSecrets, passkeys, identities, recoveryCodes, oneTimeSecrets, connections, usedChallenges,
  files, folders, kept, pictures, deletions, locks, changes, links, linkNetworks, uploads, blobLeases
} = createTables(dialect)

/**
 * One row: the id of the installation, which is the audience of its tokens, the id of the blob store that it was first
 * used with, and its epoch.
 */
export const installation = pgTable('installation', {
  id: text('id').primaryKey(),
  storageId: text('storage_id'),
  // No backup has it.
  epoch: text('epoch')
})

/** Attempts under way. A row counts until it expires, in case its process ends before the attempt is finished. */
export const openAttempts = pgTable('open_attempts', {
  id: identity('id'),
  kind: text('kind', { enum: attemptKinds }).notNull(),
  network: byCodePoint('network').notNull(),
  usernameKey: byCodePoint('username_key').notNull(),
  isKnownNetwork: boolean('is_known_network').notNull(),
  expiresAt: int8('expires_at').notNull()
}, table => [
  index('open_attempts_network').on(table.kind, table.network),
  index('open_attempts_account').on(table.kind, table.usernameKey)
])

/** Blobs whose bytes are to be deleted. A row is added with the deletion of the file, and deleted with the bytes. */
export const discardedBlobs = pgTable('discarded_blobs', {
  id: identity('id'),
  blobId: byCodePoint('blob_id').notNull(),
  discardedAt: int8('discarded_at').notNull(),
  // The process that deletes the bytes, and until when no other does.
  takenBy: text('taken_by'),
  takenUntil: int8('taken_until').notNull().default(0)
}, table => [
  uniqueIndex('discarded_blobs_blob').on(table.blobId),
  // Oldest first, so that rows in their grace period, which are most, are not read.
  index('discarded_blobs_age').on(table.discardedAt, table.id)
])

/** The retention locks of running backups: until they expire, no bytes of discarded blobs are deleted. */
export const retentionLocks = pgTable('blob_holds', {
  id: identity('id'),
  expiresAt: int8('expires_at').notNull()
})

const keyColumns = {
  kid: text('kid').primaryKey(), secret: text('secret').notNull(), position: integer('position').notNull()
}

/** The keys of the access tokens, by position; the first signs. */
export const signingKeys = pgTable('signing_keys', keyColumns)

/** The keys that seal secrets of second factors, by position; the first seals. */
export const sealingKeys = pgTable('sealing_keys', keyColumns)
