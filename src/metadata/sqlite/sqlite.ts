import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { drizzle, type BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { migrate } from 'drizzle-orm/better-sqlite3/migrator'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type { Metadata } from '../metadata.ts'
import { createAccountActs } from './accounts.ts'
import { createAttemptActs } from './attempts.ts'
import { createCommitter } from './committer.ts'
import { failureOf } from './failures.ts'
import { createFileActs } from './files.ts'
import { createInspectionActs } from './inspection.ts'
import { installation } from './schema.ts'
import { createTokenActs } from './tokens.ts'

/** How long a statement waits for an operator's command that is writing: they write in batches under 50 ms. */
const BUSY_MILLISECONDS = 5000

// From `src` as from `dist` the folder is three steps up.
const migrationsFolder = fileURLToPath(new URL('../../../drizzle/sqlite', import.meta.url))

/** The database was made by a newer version of the server; nothing in it was touched. */
export class NewerDatabaseError extends Error {}

/**
 * Opens the database in `file`, makes it if need be and brings it up to date.
 * @throws {NewerDatabaseError} before it changes anything.
 */
export async function openSqliteMetadata (file: string): Promise<Metadata> {
  refuseNewer(file)
  const client = new Database(file, { timeout: BUSY_MILLISECONDS })
  try {
    client.pragma('journal_mode = WAL')
    // FULL, not the NORMAL that is usual with WAL: a commit is on stable storage before it is acknowledged.
    client.pragma('synchronous = FULL')
    client.pragma('foreign_keys = ON')
    // What SQLite sorts or undoes in a file of its own would fail on a full disk.
    client.pragma('temp_store = MEMORY')
    const db = drizzle({ client })
    migrate(db, { migrationsFolder })
    const committer = createCommitter(client)
    return {
      installationId: identify(db),
      ...createAccountActs(db, committer),
      ...createTokenActs(db, committer),
      ...createAttemptActs(db, committer),
      ...createFileActs(db, committer),
      ...createInspectionActs(db, client, committer),
      close: async () => { client.close() }
    }
  } catch (error) {
    client.close()
    throw failureOf(error)
  }
}

/** The id of the installation, made at the first start. */
function identify (db: BetterSQLite3Database): string {
  const row = db.select().from(installation).get() ?? db.insert(installation).values({ id: randomUUID() }).returning().get()
  return row.id
}

/** Looks through a connection that can't write: even closing another one would move the log into the database. */
function refuseNewer (file: string): void {
  const client = openReadOnly(file)
  if (client === undefined) return
  try {
    const hasHistory = client.prepare("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'").get() !== undefined
    const newest = Math.max(...readMigrationFiles({ migrationsFolder }).map(({ folderMillis }) => folderMillis))
    const applied = hasHistory ? client.prepare('SELECT max(created_at) FROM __drizzle_migrations').pluck().get() : 0
    if (Number(applied) > newest) throw new NewerDatabaseError('the database was made by a newer version of MagicStore; it was left as it is')
  } finally {
    client.close()
  }
}

/** Undefined where there is no database yet; where it is something else, opening it to write says what. */
function openReadOnly (file: string): Database.Database | undefined {
  try {
    return new Database(file, { readonly: true })
  } catch {
    return undefined
  }
}
