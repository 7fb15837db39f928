import { and, type Column, count, getTableName, gte, lt, ne, sql } from 'drizzle-orm'
import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3'
import { findUnopened } from '../identities.ts'
import type { Snapshot, SnapshotBlob } from '../snapshot.ts'
import { copyDatabase } from './database-file.ts'
import { Database } from './driver.ts'
import { isOutdated, refuseUnknown } from './migrations.ts'
import {
  accounts, attempts, blobLeases, connections, files, identities, installation, kept, links, locks, oneTimeSecrets,
  recoveryCodes, totpSecrets, uploads, usedChallenges
} from './schema.ts'

/**
 * Copies the database `file` into a new file `copy` and opens the copy.
 * @throws {UnknownMigrationError} before it copies.
 */
export async function takeSnapshot (file: string, copy: string): Promise<Snapshot> {
  refuseUnknown(file)
  await copyDatabase(file, copy)
  removeTransient(copy)
  return openSnapshot(copy)
}

/**
 * Unfinished uploads have bytes that no backup has; leases, attempts, locks, connections, and secrets that are used
 * once within a time, belong to running servers. So does the epoch: a store that is restored gets another one. The
 * addresses of links are not in a backup: who steals it can open none. Older databases lack some of them.
 */
function removeTransient (copy: string): void {
  const client = new Database(copy)
  try {
    // Their bytes go too.
    client.pragma('secure_delete = ON')
    for (const table of [uploads, blobLeases, attempts, locks, oneTimeSecrets, connections, usedChallenges]) {
      if (hasTable(client, getTableName(table))) drizzle({ client }).delete(table).run()
    }
    if (hasColumn(client, installation.epoch)) drizzle({ client }).update(installation).set({ epoch: null }).run()
    if (hasColumn(client, links.secretSealed)) drizzle({ client }).update(links).set({ secretSealed: null }).run()
  } finally {
    client.close()
  }
}

/** Opens an existing copy, read-only. @throws {UnknownMigrationError}. */
export function openSnapshot (file: string): Snapshot {
  refuseUnknown(file)
  const client = new Database(file, { readonly: true, fileMustExist: true })
  try {
    const db = drizzle({ client })
    // Older databases have no table of kept content.
    const ofKept = hasTable(client, 'kept') ? [contentOf(db, kept, kept.id)] : []
    const parts = [contentOf(db, files, files.blobId), ...ofKept]
    const owners = db.select({ count: sql<number>`count(*)` }).from(accounts).get()
    const sums = parts.map(part => part.sum())
    const hasIdentities = hasTable(client, 'identities')
    let originals: ReturnType<typeof originalsIn> | undefined
    return {
      installationId: String(db.select({ id: installation.id }).from(installation).get()?.id),
      isOutdated: isOutdated(client),
      // Older databases have none.
      secondFactors: hasTable(client, 'totp_secrets') ? secondFactorsOf(db) : { recoveryCodes: 0, sealedBy: [] },
      links: hasTable(client, 'links') ? countRows(db, links) : 0,
      identities: hasIdentities ? countRows(db, identities) : 0,
      findUnopened: issuer => hasIdentities
        ? db.all<{ username: string }>(findUnopened(issuer)).map(({ username }) => username)
        : [],
      totals: {
        accounts: Number(owners?.count),
        files: sums.reduce((total, { count }) => total + count, 0),
        bytes: sums.reduce((total, { bytes }) => total + bytes, 0)
      },
      blobs: prefix => parts.flatMap(part => part.blobs(prefix)).sort((a, b) => a.id < b.id ? -1 : 1),
      originalOf (id) {
        originals ??= originalsIn(client)
        return originals.get(id)
      },
      close: () => { client.close() }
    }
  } catch (error) {
    client.close()
    throw error
  }
}

interface BlobColumns {
  sum (): { count: number, bytes: number }
  blobs (prefix: string): SnapshotBlob[]
}

/** What a table says about blobs. */
function contentOf (
  db: BetterSQLite3Database, table: typeof files | typeof kept, id: typeof files.blobId | typeof kept.id
): BlobColumns {
  // A deleted folder has no blob, and so no digest. Older databases have none.
  const isContent = ne(table.sha256, '')
  // A range uses the index, a pattern would not.
  const columns = { id: sql<string>`${id}`, size: sql<number>`${table.size}`, sha256: sql<string>`${table.sha256}` }
  const byPrefix = db.select(columns).from(table)
    .where(and(isContent, gte(id, sql.placeholder('prefix')), lt(id, sql.placeholder('end')))).prepare()
  const sums = { count: count(), bytes: sql<number>`coalesce(sum(${table.size}), 0)` }
  return {
    sum: () => db.select(sums).from(table).where(isContent).get() as { count: number, bytes: number },
    // `g` follows the last hex digit.
    blobs: prefix => byPrefix.all({ prefix, end: `${prefix}g` })
  }
}

/**
 * The original of each blob that has one, in a temporary table: a million of them need no memory. A forged backup has
 * ids that are paths.
 */
function originalsIn (client: Database) {
  const kept = hasTable(client, 'kept') ? 'UNION ALL SELECT id, size, sha256 FROM kept' : ''
  client.exec(`CREATE TEMP TABLE originals (id TEXT PRIMARY KEY, original TEXT) WITHOUT ROWID;
    INSERT INTO originals SELECT id, original FROM (
      SELECT id, min(id) OVER (PARTITION BY sha256, size) AS original
      FROM (SELECT blob_id AS id, size, sha256 FROM files ${kept})
      WHERE length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*'
    ) WHERE id <> original`)
  return client.prepare<[string], string>('SELECT original FROM originals WHERE id = ?').pluck()
}

function secondFactorsOf (db: BetterSQLite3Database): Snapshot['secondFactors'] {
  const kid = sql<string>`substr(${totpSecrets.secret}, 1, instr(${totpSecrets.secret}, '.') - 1)`
  return {
    recoveryCodes: countRows(db, recoveryCodes),
    sealedBy: db.selectDistinct({ kid }).from(totpSecrets).all().map(row => row.kid)
  }
}

function countRows (db: BetterSQLite3Database, table: typeof recoveryCodes | typeof links | typeof identities): number {
  return Number(db.select({ rows: count() }).from(table).get()?.rows)
}

function hasColumn (client: Database, { name, table }: Column): boolean {
  const query = client.prepare('SELECT 1 FROM pragma_table_info(?) WHERE name = ?')
  return query.get(getTableName(table), name) !== undefined
}

function hasTable (client: Database, name: string): boolean {
  return client.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(name) !== undefined
}
