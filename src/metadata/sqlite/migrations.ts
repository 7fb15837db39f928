import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { readMigrationFiles, type MigrationMeta } from 'drizzle-orm/migrator'
import { sync } from '../../blobs/disk/durable-files.ts'
import { packageFolder } from '../../config.ts'
import { OperatorError } from '../../problems.ts'
import { copyDatabase } from './copy.ts'
import { failureOf, isCutOff } from './failures.ts'
import type { FolderLock } from './lock.ts'

const ownMigrations = join(packageFolder, 'drizzle/sqlite')

/** Copies that are kept of what the database was before it was brought up to date. */
const KEPT_COPIES = 2

/** The database was made by a newer version of the server; nothing in it was touched. */
export class NewerDatabaseError extends OperatorError {}

/** The database could not be brought up to date, and is as it was. */
export class MigrationError extends OperatorError {}

export interface MigrationOptions {
  /** Where drizzle-kit wrote the migrations; those of this version unless others are given. */
  readonly migrationsFolder?: string
  /** Takes the data folder while a database that is there is changed; it throws where a server has it. */
  readonly takeFolder?: () => FolderLock
}

/**
 * Brings the database in `file`, open as `client`, up to date, whole or not at all: what is missing is done in one
 * transaction, after a copy of what was there before was put beside it as `<file>.before-<number of the migration>`. Turns
 * `foreign_keys` off. Drizzle's own migrator has the same history, but neither the copy, nor a lock against a process that
 * does the same, nor a look at what the changes left behind.
 * @throws {MigrationError}; for a new database whatever stands in the way, for there is nothing to lose.
 */
export async function migrate (client: Database.Database, file: string, { migrationsFolder = ownMigrations, takeFolder }: MigrationOptions): Promise<void> {
  const migrations = readMigrationFiles({ migrationsFolder })
  // A table is changed by a new one in its place, and to drop the old one would delete all that refers to it. Inside a transaction this pragma does nothing.
  client.pragma('foreign_keys = OFF')
  if (missingIn(client, migrations).length === 0) return
  const isNew = newestIn(client) === undefined
  const lock = isNew ? undefined : takeFolder?.()
  try {
    client.exec('BEGIN IMMEDIATE')
    await advance(client, file, migrations)
    client.exec('COMMIT')
  } catch (error) {
    if (client.inTransaction) client.exec('ROLLBACK')
    const cause = failureOf(error)
    if (isNew) throw cause
    throw new MigrationError(`the database could not be brought up to date, and is as it was: ${(cause as Error).message}`, { cause })
  } finally {
    lock?.close()
  }
  await removeOldCopies(file)
}

async function advance (client: Database.Database, file: string, migrations: MigrationMeta[]): Promise<void> {
  const missing = missingIn(client, migrations)
  const [first] = missing
  // Another process did it while this one waited for its turn.
  if (first === undefined) return
  if (newestIn(client) !== undefined) await keepCopy(file, migrations.indexOf(first))
  const violations = countForeignKeyViolations(client)
  client.exec('CREATE TABLE IF NOT EXISTS __drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)')
  const remember = client.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)')
  for (const { sql, hash, folderMillis } of missing) {
    for (const statement of sql) client.exec(statement)
    remember.run(hash, folderMillis)
  }
  if (countForeignKeyViolations(client) > violations) throw new Error('it would leave rows that belong to nothing')
}

/** Whether the next start has something to do to it. */
export function isBehind (client: Database.Database): boolean {
  return missingIn(client, readMigrationFiles({ migrationsFolder: ownMigrations })).length > 0
}

function missingIn (client: Database.Database, migrations: MigrationMeta[]): MigrationMeta[] {
  const newest = newestIn(client) ?? -Infinity
  return migrations.filter(({ folderMillis }) => folderMillis > newest)
}

/** The time of the newest migration that was done; undefined where none was. */
function newestIn (client: Database.Database): number | undefined {
  const hasHistory = client.prepare("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'").get() !== undefined
  const newest = hasHistory ? client.prepare('SELECT max(created_at) FROM __drizzle_migrations').pluck().get() : null
  return newest === null ? undefined : Number(newest)
}

function countForeignKeyViolations (client: Database.Database): number {
  return (client.pragma('foreign_key_check') as unknown[]).length
}

/** Nobody writes while it is made: the caller's transaction has begun to, and has not written yet. */
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
 * Looks through a connection that can't write: even closing another one would move the log into the database. Where a start
 * was cut off before it had a log, only a connection that can write takes back what that start began: `refuseNewerIn` looks then.
 * @throws {NewerDatabaseError}.
 */
export function refuseNewer (file: string, options?: MigrationOptions): void {
  const client = openReadOnly(file)
  if (client === undefined) return
  try {
    refuseNewerIn(client, options)
  } catch (error) {
    if (!isCutOff(error)) throw error
  } finally {
    client.close()
  }
}

/** The same through a connection that is open. @throws {NewerDatabaseError}. */
export function refuseNewerIn (client: Database.Database, { migrationsFolder = ownMigrations }: MigrationOptions = {}): void {
  const known = Math.max(...readMigrationFiles({ migrationsFolder }).map(({ folderMillis }) => folderMillis))
  if ((newestIn(client) ?? known) > known) throw new NewerDatabaseError('the database was made by a newer version of MagicStore; it was left as it is')
}

/** Undefined where there is no database yet; where it is something else, opening it to write says what. */
function openReadOnly (file: string): Database.Database | undefined {
  try {
    return new Database(file, { readonly: true })
  } catch {
    return undefined
  }
}
