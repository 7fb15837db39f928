// Drizzle reads the migration files, but its migrator does not apply them: it can't keep the promise that processes
// which start together upgrade the database once. It reads the history before its transaction begins: of ten processes
// seven failed. A lock around it would have to belong to the session, and a transaction pooler such as PgBouncer may
// give each transaction another session.

import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator'
import { packageFolder } from '../../config.ts'
import { OperatorError } from '../../problems.ts'
import type { Connections, Db } from './connections.ts'
import { rootOf } from './failures.ts'
import { measureCapacity, requireUsable, type Capacity } from './requirements.ts'

const ownMigrations = join(packageFolder, 'drizzle/postgres')

/** The two keys of the advisory lock for migrations. Attempts use locks with one key, which never conflict with it. */
const LOCK = [0x4d61_6769, 1] as const

/**
 * Applies the pending migrations: all of them in one transaction, or none. A lock in this transaction makes processes
 * that start together apply them once. `longRunning` is for a migration that changes a large table.
 * @throws {OperatorError} if the database can't be used as it is, or a newer version made it. Nothing has changed then.
 */
export async function applyMigrations (
  connections: Connections, longRunning: Connections, migrationsFolder = ownMigrations
): Promise<void> {
  const known = readMigrationFiles({ migrationsFolder })
  // Usually there is none, and a lock would make processes that start wait for each other.
  if (!(await connections.read(db => check(db, known))).isOutdated) return
  await longRunning.write(async db => {
    await db.execute(sql`SELECT pg_advisory_xact_lock(${LOCK[0]}, ${LOCK[1]})`)
    for (const migration of await pending(db, known)) {
      await apply(db, migration).catch((error: unknown) => {
        const cause = rootOf(error) as Error
        throw new OperatorError(`the database could not be upgraded and was left unchanged: ${cause.message}`, { cause })
      })
    }
  })
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
export async function inspect (connections: Connections): Promise<DatabaseReport> {
  const known = readMigrationFiles({ migrationsFolder: ownMigrations })
  return connections.read(async db => ({ ...await check(db, known), ...await measureCapacity(db) }))
}

async function check (db: Db, known: MigrationMeta[]): Promise<Omit<DatabaseReport, keyof Capacity>> {
  const version = await requireUsable(db, 'always')
  const { length } = await pending(db, known)
  const isNew = length === known.length
  if (length > 0) await requireUsable(db, isNew ? 'toCreate' : 'toUpgrade')
  return { version, isOutdated: length > 0, isNew }
}

/** The migrations that were not applied yet. @throws {OperatorError} if one was that this version does not know. */
async function pending (db: Db, known: MigrationMeta[]): Promise<MigrationMeta[]> {
  // Not by `to_regclass`, which remembers that there was no table until the transaction ends.
  const history = await db.execute("SELECT FROM pg_tables WHERE schemaname = 'drizzle' AND tablename = '__drizzle_migrations'")
  const { rows } = history.rowCount === 1 ? await db.execute<{ created_at: string }>('SELECT created_at FROM drizzle.__drizzle_migrations') : { rows: [] }
  const applied = new Set(rows.map(row => Number(row.created_at)))
  const times = new Set(known.map(({ folderMillis }) => folderMillis))
  if (Array.from(applied).some(time => !times.has(time))) {
    throw new OperatorError('the database was made by a newer version of MagicStore; it was not changed', { remedy: 'run the newer version, or restore a backup made by this version' })
  }
  return known.filter(({ folderMillis }) => !applied.has(folderMillis))
}

/** Does what Drizzle's migrator does, inside the current transaction. */
async function apply (db: Db, { sql: statements, hash, folderMillis }: MigrationMeta): Promise<void> {
  await db.execute('CREATE SCHEMA IF NOT EXISTS drizzle')
  await db.execute('CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)')
  for (const statement of statements) await db.execute(statement)
  await db.execute(sql`INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (${hash}, ${folderMillis})`)
}
