// Drizzle reads the migration files, but its migrator does not apply them: it can't keep the promise that processes
// which start together upgrade the database once. It reads the history before its transaction begins: of ten processes
// seven failed. A lock around it would have to belong to the session, and a transaction pooler such as PgBouncer may
// give each transaction another session.

import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator'
import { packageFolder } from '../../config.ts'
import { OperatorError } from '../../problems.ts'
import { requireKnown } from '../migration-history.ts'
import type { ConnectionPool, Connection } from './connections.ts'
import { rootOf } from './failures.ts'
import { measureCapacity, requireUsable, type Capacity } from './requirements.ts'

const ownMigrations = join(packageFolder, 'drizzle/postgres')

/** The two keys of the advisory lock for migrations. Attempts use locks with one key, which never conflict with it. */
const LOCK = [0x4d61_6769, 1] as const

export interface PostgresMigrationOptions {
  /** Folder written by drizzle-kit. Default: the migrations of this version. */
  readonly migrationsFolder?: string
  /** Called before a database that is not new is upgraded, with the number of files in it. */
  readonly onUpgrade?: ((files: number) => void) | undefined
}

/**
 * Applies the pending migrations: all of them in one transaction, or none. A lock in this transaction makes processes
 * that start together apply them once. `longRunning` is for a migration that changes a large table.
 * @throws {OperatorError} if the database can't be used or upgraded as it is, or an older version is using it.
 * Nothing has changed then.
 */
export async function applyMigrations (
  connections: ConnectionPool, longRunning: ConnectionPool,
  { migrationsFolder = ownMigrations, onUpgrade }: PostgresMigrationOptions
): Promise<void> {
  const known = readMigrationFiles({ migrationsFolder })
  // Usually there is none, and a lock would make processes that start wait for each other.
  const { isOutdated, isNew } = await connections.read(db => check(db, known))
  if (!isOutdated) return
  await longRunning.write(async db => {
    await db.execute(sql`SELECT pg_advisory_xact_lock(${LOCK[0]}, ${LOCK[1]})`)
    const missing = await pending(db, known)
    if (!isNew && missing.length > 0) onUpgrade?.(await countFiles(db))
    for (const migration of missing) {
      await apply(db, migration).catch((error: unknown) => {
        const cause = rootOf(error) as Error
        const reason = `the database could not be upgraded and was left unchanged: ${cause.message}`
        throw new OperatorError(reason, { cause })
      })
    }
    // A server of an older version may have started since.
    await requireUsable(db, needOf(isNew))
  })
}

/** The accounts count them in every version. */
async function countFiles (db: Connection): Promise<number> {
  const { rows: [sum] } = await db.execute<{ files: string }>('SELECT sum(used_files) AS files FROM accounts')
  return Number(sum?.files)
}

/** What is known of a database that a server can start on. */
export interface DatabaseReport extends Capacity {
  /** Of the server. */
  readonly version: string
  /** Whether the next start upgrades the database. */
  readonly isOutdated: boolean
  /** Whether the database has no tables of MagicStore. */
  readonly isNew: boolean
}

/** Changes nothing. @throws {OperatorError} as `applyMigrations`. */
export async function inspect (connections: ConnectionPool): Promise<DatabaseReport> {
  const known = readMigrationFiles({ migrationsFolder: ownMigrations })
  return connections.read(async db => ({ ...await check(db, known), ...await measureCapacity(db) }))
}

async function check (db: Connection, known: MigrationMeta[]): Promise<Omit<DatabaseReport, keyof Capacity>> {
  const version = await requireUsable(db, 'always')
  const { length } = await pending(db, known)
  const isNew = length === known.length
  if (length > 0) await requireUsable(db, needOf(isNew))
  return { version, isOutdated: length > 0, isNew }
}

function needOf (isNew: boolean): 'toCreate' | 'toUpgrade' {
  return isNew ? 'toCreate' : 'toUpgrade'
}

/** The migrations that were not applied yet. @throws {UnknownMigrationError}. */
async function pending (db: Connection, known: MigrationMeta[]): Promise<MigrationMeta[]> {
  // Not by `to_regclass`, which remembers that there was no table until the transaction ends.
  const history = await db.execute(`SELECT FROM pg_tables
    WHERE schemaname = 'drizzle' AND tablename = '__drizzle_migrations'`)
  const { rows } = history.rowCount === 1
    ? await db.execute<{ created_at: string }>('SELECT created_at FROM drizzle.__drizzle_migrations')
    : { rows: [] }
  const applied = rows.map(row => Number(row.created_at))
  requireKnown(applied, known.map(({ folderMillis }) => folderMillis))
  return known.filter(({ folderMillis }) => !applied.includes(folderMillis))
}

/** Does what Drizzle's migrator does, inside the current transaction. */
async function apply (db: Connection, { sql: statements, hash, folderMillis }: MigrationMeta): Promise<void> {
  await db.execute('CREATE SCHEMA IF NOT EXISTS drizzle')
  await db.execute(`CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations
    (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)`)
  for (const statement of statements) await db.execute(statement)
  await db.execute(sql`INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (${hash}, ${folderMillis})`)
}
