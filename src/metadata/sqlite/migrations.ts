// Drizzle's migrator applies the migrations, inside a transaction of ours. On its own it cannot keep three promises: a
// migration that leaves foreign-key violations is undone (it has committed before anything can be checked), the copy
// made before an upgrade misses no write (it takes the write lock too late), and a full disk is reported as one (SQLite
// may have rolled back already; its ROLLBACK then fails and hides the reason).

import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Database } from './driver.ts'
import { DrizzleError } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import { migrate } from 'drizzle-orm/better-sqlite3/migrator'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { sync } from '../../data-folder/durable-files.ts'
import { packageFolder } from '../../config.ts'
import { OperatorError } from '../../problems.ts'
import { requireKnown } from '../migration-history.ts'
import { copyDatabase } from './database-file.ts'
import { DeniedFileError, failureOf, isCutOff } from './failures.ts'
import type { FolderLock } from './lock.ts'

const ownMigrations = join(packageFolder, 'drizzle/sqlite')

/** How many copies from before an upgrade are kept. */
const KEPT_COPIES = 2

/** The database could not be upgraded. It was not changed. */
export class MigrationError extends OperatorError {}

export interface MigrationOptions {
  /** Folder written by drizzle-kit. Default: the migrations of this version. */
  readonly migrationsFolder?: string
  /** Called before a database that is not new is upgraded, with the number of files in it. */
  readonly onUpgrade?: ((files: number) => void) | undefined
  /** Locks the data folder while an existing database is migrated; throws if a server has it locked. */
  readonly takeFolder?: (() => FolderLock) | undefined
}

/**
 * Applies the pending migrations to the database in `file`, open as `client`: all of them in one transaction, or none.
 * If the database is not new, it is first copied to `<file>.before-<number of the first pending migration>`. Turns
 * `foreign_keys` off.
 * @throws {MigrationError}; for a new database the error itself.
 */
export async function applyMigrations (
  client: Database, file: string, { migrationsFolder = ownMigrations, takeFolder, onUpgrade }: MigrationOptions
): Promise<void> {
  // SQLite changes a table by copying it: dropping the old one would delete every row that refers to it. The pragma has
  // no effect inside a transaction.
  client.pragma('foreign_keys = OFF')
  if (pendingIn(client, migrationsFolder).length === 0) return
  const isNew = appliedTo(client).length === 0
  const lock = isNew ? undefined : takeFolder?.()
  try {
    if (!isNew) onUpgrade?.(countFiles(client))
    client.exec('BEGIN IMMEDIATE')
    await copyAndMigrate(client, file, migrationsFolder)
    client.exec('COMMIT')
  } catch (error) {
    if (client.inTransaction) client.exec('ROLLBACK')
    const cause = failureOf(error instanceof DrizzleError ? error.cause : error, file)
    if (isNew) throw cause
    const reason = `the database could not be upgraded and was left unchanged: ${(cause as Error).message}`
    throw new MigrationError(reason, { cause })
  } finally {
    lock?.close()
  }
  await removeOldCopies(file)
}

/** The accounts count them in every version. */
function countFiles (client: Database): number {
  return Number(client.prepare('SELECT sum(used_files) FROM accounts').pluck().get())
}

/** Runs inside the caller's write transaction, so the copy holds exactly what is migrated. */
async function copyAndMigrate (client: Database, file: string, migrationsFolder: string): Promise<void> {
  const [first] = pendingIn(client, migrationsFolder)
  // Another process migrated it while this one waited for the write lock.
  if (first === undefined) return
  if (appliedTo(client).length > 0) await keepCopy(file, first.index)
  const violations = countForeignKeyViolations(client)
  migrate(drizzle({ client: withoutTransactions(client) }), { migrationsFolder })
  if (countForeignKeyViolations(client) > violations) throw new Error('it would leave foreign-key violations')
}

/** The connection for Drizzle's migrator inside our transaction: its own BEGIN, COMMIT and ROLLBACK do nothing. */
function withoutTransactions (client: Database): Database {
  const nothing = { run: () => {} }
  const prepare = (sql: string) => ['BEGIN', 'COMMIT', 'ROLLBACK'].includes(sql) ? nothing : client.prepare(sql)
  return { prepare } as unknown as Database
}

/** Whether migrations of this version are pending. */
export function isOutdated (client: Database): boolean {
  return pendingIn(client, ownMigrations).length > 0
}

/** The migrations not applied yet, by their time, as Drizzle decides it. `index` is the number in the name. */
function pendingIn (client: Database, migrationsFolder: string): { readonly index: number }[] {
  const newest = Math.max(...appliedTo(client))
  return timesOf(migrationsFolder).map((time, index) => ({ time, index })).filter(({ time }) => time > newest)
}

function timesOf (migrationsFolder: string): number[] {
  return readMigrationFiles({ migrationsFolder }).map(({ folderMillis }) => folderMillis)
}

/** The times of the migrations that were applied. */
function appliedTo (client: Database): number[] {
  const history = client.prepare("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'").get()
  if (history === undefined) return []
  return client.prepare('SELECT created_at FROM __drizzle_migrations').pluck().all().map(Number)
}

function countForeignKeyViolations (client: Database): number {
  return (client.pragma('foreign_key_check') as unknown[]).length
}

async function keepCopy (file: string, index: number): Promise<void> {
  const copy = `${file}.before-${String(index).padStart(4, '0')}`
  const draft = `${copy}.new`
  await rm(draft, { force: true })
  await copyDatabase(file, draft)
  await rename(draft, copy)
  await sync(dirname(file))
}

async function removeOldCopies (file: string): Promise<void> {
  const copies = (await readdir(dirname(file))).filter(name => name.startsWith(`${basename(file)}.before-`)).sort()
  for (const name of copies.slice(0, -KEPT_COPIES)) await rm(join(dirname(file), name))
}

/**
 * Uses a read-only connection: even closing a writable one would move the log into the database. A database whose first
 * start was cut off before it had a log can only be read by a writable connection, which rolls that start back:
 * `refuseUnknownIn` checks it then.
 * @throws {UnknownMigrationError}, {DeniedFileError}.
 */
export function refuseUnknown (file: string, options?: MigrationOptions): void {
  const client = openReadOnly(file)
  if (client === undefined) return
  try {
    refuseUnknownIn(client, options)
  } catch (error) {
    if (!isCutOff(error)) throw failureOf(error, file)
  } finally {
    client.close()
  }
}

/** The same for an open connection. @throws {UnknownMigrationError}. */
export function refuseUnknownIn (client: Database, { migrationsFolder = ownMigrations }: MigrationOptions = {}): void {
  requireKnown(appliedTo(client), timesOf(migrationsFolder))
}

/**
 * Undefined if there is no database yet. If the file is something else, opening it for writing reports what.
 * @throws {DeniedFileError}.
 */
function openReadOnly (file: string): Database | undefined {
  try {
    return new Database(file, { readonly: true })
  } catch (error) {
    const failure = failureOf(error, file)
    if (failure instanceof DeniedFileError) throw failure
    return undefined
  }
}
