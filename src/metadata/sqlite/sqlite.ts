import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { drizzle, type BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { migrate } from 'drizzle-orm/better-sqlite3/migrator'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type { Metadata } from '../metadata.ts'
import { createAccountActs } from './accounts.ts'
import { createCommitter } from './committer.ts'
import { createFileActs } from './files.ts'
import { installation } from './schema.ts'

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
  const client = new Database(file, { timeout: BUSY_MILLISECONDS })
  try {
    refuseNewer(client)
    client.pragma('journal_mode = WAL')
    // FULL, not the NORMAL that is usual with WAL: a commit is on stable storage before it is acknowledged.
    client.pragma('synchronous = FULL')
    client.pragma('foreign_keys = ON')
    const db = drizzle({ client })
    migrate(db, { migrationsFolder })
    const committer = createCommitter(client)
    return {
      installationId: identify(db),
      ...createAccountActs(db, committer),
      ...createFileActs(db, committer),
      close: async () => { client.close() }
    }
  } catch (error) {
    client.close()
    throw error
  }
}

/** The id of the installation, made at the first start. */
function identify (db: BetterSQLite3Database): string {
  const row = db.select().from(installation).get() ?? db.insert(installation).values({ id: randomUUID() }).returning().get()
  return row.id
}

function refuseNewer (client: Database.Database): void {
  const hasHistory = client.prepare("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'").get() !== undefined
  if (!hasHistory) return
  const newest = readMigrationFiles({ migrationsFolder }).at(-1)?.folderMillis ?? 0
  const applied = client.prepare<[], { at: number | null }>('SELECT max(created_at) AS at FROM __drizzle_migrations').get()
  if (Number(applied?.at) > newest) throw new NewerDatabaseError('the database was made by a newer version of MagicStore; it was left as it is')
}
