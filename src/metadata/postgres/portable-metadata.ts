import { open, rm } from 'node:fs/promises'
import { asc, count, getTableColumns, sql, type SQL } from 'drizzle-orm'
import { drizzle, type BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { getTableConfig, type PgColumn, type PgTable } from 'drizzle-orm/pg-core'
import { sync } from '../../data-folder/durable-files.ts'
import { keyFiles, type KeyRings } from '../../data-folder/key-file.ts'
import { OperatorError } from '../../problems.ts'
import { Database } from '../sqlite/driver.ts'
import * as sqlite from '../sqlite/schema.ts'
import { openSqliteMetadata } from '../sqlite/sqlite.ts'
import type { ConnectionPool, Connection } from './connections.ts'
import { replaceKeys } from './key-table.ts'
import * as postgres from './schema.ts'

/**
 * In an order in which no row refers to a later one. Attempts and their claims, secrets that are used once,
 * connections, leases and the blobs that wait to be deleted belong to the running store.
 */
const tables = [
  'installation', 'accounts', 'tokens', 'totpSecrets', 'passkeys', 'identities', 'recoveryCodes', 'accountNetworks',
  'events', 'folders', 'files', 'changes', 'links', 'linkNetworks', 'kept', 'pictures', 'deletions'
] as const

type TableName = typeof tables[number]

const keyTables = { 'signing-keys': postgres.signingKeys, 'sealing-keys': postgres.sealingKeys }

/** Rows in one query. Those with bytes are long: 64 KiB at most. */
const BATCH = 1000
const LONG_BATCH = 100

type Row = Record<string, unknown>

/**
 * The portable form of all metadata is a SQLite database, whatever backend it comes from and goes to. Both directions
 * keep every id, and the next id of each table: an id that was deleted never returns.
 */
export type PortableMetadata = ReturnType<typeof createPortableMetadata>

export function createPortableMetadata (longRunning: ConnectionPool) {
  return {
    /** Writes the metadata as of one moment into a new SQLite database. */
    exportMetadata: (file: string): Promise<void> => longRunning.read(db => db.transaction(async () => {
      await createDatabase(file)
      await withSqlite(file, async target => {
        target.delete(sqlite.installation).run()
        for (const name of tables) {
          for await (const rows of batches(db, postgres[name], keyOf(name))) {
            target.insert(sqlite[name]).values(rows.map(forBackup) as never).run()
          }
          if (keyOf(name).includes('id')) setSqliteSequence(target, name, await lastId(db, name))
        }
      })
      await sync(file)
    }, { isolationLevel: 'repeatable read', accessMode: 'read only' })),

    /**
     * Fills the database, which no server has used, from a SQLite database, which is upgraded first if an older version
     * made it. Each ring of `keys` replaces the one of the database, and `storageId` is recorded. All or nothing.
     * @throws {OperatorError}.
     */
    async importMetadata (file: string, keys: KeyRings = {}, storageId?: string): Promise<void> {
      await upgrade(file)
      await withSqlite(file, source => longRunning.write(async db => {
        const [accounts] = await db.select({ count: count() }).from(postgres.accounts)
        if (accounts?.count !== 0) {
          throw new OperatorError('DATABASE_URL: the database has accounts; a backup is restored into a new one')
        }
        // Its servers would go on with tokens of another installation. A server that starts now waits for this row, and
        // then finds another.
        const [replaced] = await db.delete(postgres.installation).returning()
        if (typeof replaced?.storageId === 'string') {
          throw new OperatorError(
            'DATABASE_URL: the database was used by a server; a backup is restored into a new one'
          )
        }
        // Earlier commands may have added events whose ids collide with the backup's.
        await db.delete(postgres.events)
        for (const name of tables) {
          const table = sqlite[name] as unknown as PgTable
          for await (const rows of batches(source as unknown as Connection, table, keyOf(name))) {
            await db.insert(postgres[name]).values(rows as never)
          }
          if (keyOf(name).includes('id')) await setSequence(db, name, sqliteSequence(source, name))
        }
        for (const name of keyFiles) if (keys[name] !== undefined) await replaceKeys(db, keyTables[name], keys[name])
        await db.update(postgres.installation).set({ storageId: storageId ?? null })
      }))
    }
  }
}

/** The epoch belongs to the running store, and the addresses of links to no backup. */
function forBackup (row: Row): Row {
  return { ...row, ...'epoch' in row && { epoch: null }, ...'secretSealed' in row && { secretSealed: null } }
}

/** The fields of the primary key of a table. */
function keyOf (name: TableName): string[] {
  const { primaryKeys, columns } = getTableConfig(postgres[name])
  const single = columns.filter(({ primary }) => primary)
  // By name: the columns of a key of several are other objects.
  const keys = new Set([...single, ...primaryKeys.flatMap(key => key.columns)].map(({ name }) => name))
  const fields = Object.entries(getTableColumns(postgres[name]))
  return fields.flatMap(([field, column]) => keys.has(column.name) ? field : [])
}

/** All rows of a table in the order of its key, which an index answers. */
async function * batches (db: Connection, table: PgTable, key: readonly string[]): AsyncGenerator<Row[]> {
  const columns: Record<string, PgColumn> = getTableColumns(table)
  const limit = 'bytes' in columns ? LONG_BATCH : BATCH
  const order = key.map(field => columns[field] as PgColumn)
  const list = (items: readonly unknown[]) => sql.join(items.map(item => sql`${item}`), sql`, `)
  let rows: Row[]
  let isAfter: SQL | undefined
  do {
    rows = await db.select().from(table).where(isAfter).orderBy(...order.map(column => asc(column))).limit(limit)
    if (rows.length > 0) yield rows
    isAfter = sql`(${list(order)}) > (${list(key.map(field => rows.at(-1)?.[field]))})`
  } while (rows.length === limit)
}

/** Creates a database with the tables of this version, mode 0600, and no other file beside it. */
async function createDatabase (file: string): Promise<void> {
  // A try that broke off may have begun it.
  await rm(file, { force: true })
  await (await open(file, 'wx', 0o600)).close()
  await upgrade(file)
}

async function upgrade (file: string): Promise<void> {
  await (await openSqliteMetadata(file)).close()
  await rm(`${file}-hold`, { force: true })
}

/** Runs `use` in one transaction of the database in `file`. */
async function withSqlite (file: string, use: (db: BetterSQLite3Database) => Promise<void>): Promise<void> {
  const client = new Database(file)
  try {
    // The bytes of what is deleted go too.
    client.pragma('secure_delete = ON')
    client.exec('BEGIN')
    await use(drizzle({ client }))
    client.exec('COMMIT')
    // The file alone is the copy: nothing may be left in a log beside it.
    client.pragma('journal_mode = DELETE')
  } finally {
    client.close()
  }
}

async function lastId (db: Connection, name: TableName): Promise<number> {
  const { rows: [row] } = await db.execute<{ last: string | null }>(
    sql`SELECT pg_sequence_last_value(pg_get_serial_sequence(${name}, 'id')) AS last`
  )
  return Number(row?.last)
}

async function setSequence (db: Connection, name: TableName, last: number): Promise<void> {
  // NaN: the table has no rows yet, or no numeric id.
  if (last > 0) await db.execute(sql`SELECT setval(pg_get_serial_sequence(${name}, 'id'), ${last})`)
}

function sqliteSequence (db: BetterSQLite3Database, name: TableName): number {
  return Number(db.get<{ seq: number } | undefined>(sql`SELECT seq FROM sqlite_sequence WHERE name = ${name}`)?.seq)
}

function setSqliteSequence (db: BetterSQLite3Database, name: TableName, last: number): void {
  // No row was ever added, or ids are no numbers.
  if (last === 0) return
  db.run(sql`DELETE FROM sqlite_sequence WHERE name = ${name}`)
  db.run(sql`INSERT INTO sqlite_sequence (name, seq) VALUES (${name}, ${last})`)
}
