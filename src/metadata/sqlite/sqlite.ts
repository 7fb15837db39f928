import { randomUUID } from 'node:crypto'
import Database from 'better-sqlite3'
import { drizzle, type BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { Metadata } from '../metadata.ts'
import { createAccountActs } from './accounts.ts'
import { createAttemptActs } from './attempts.ts'
import { createCommitter } from './committer.ts'
import { createEventActs, createEventWriter } from './events.ts'
import { failureOf } from './failures.ts'
import { createFileActs } from './files.ts'
import { watchHold } from './hold.ts'
import { createInspectionActs } from './inspection.ts'
import { openLogSync } from './log-sync.ts'
import { migrate, refuseNewer, type MigrationOptions } from './migrations.ts'
import { createMonitoringActs } from './monitoring.ts'
import { installation } from './schema.ts'
import { createTokenActs } from './tokens.ts'

/** How long a statement waits for an operator's command that is writing: they write in batches under 50 ms. */
const BUSY_MILLISECONDS = 5000

/**
 * Opens the database in `file`, makes it if need be and brings it up to date.
 * @throws {NewerDatabaseError} before it changes anything, {MigrationError} where that fails and nothing has changed.
 */
export async function openSqliteMetadata (file: string, options: MigrationOptions = {}): Promise<Metadata> {
  refuseNewer(file, options)
  const client = new Database(file, { timeout: BUSY_MILLISECONDS })
  try {
    client.pragma('journal_mode = WAL')
    // What is done while opening is synced by SQLite itself.
    client.pragma('synchronous = FULL')
    // What SQLite sorts or undoes in a file of its own would fail on a full disk.
    client.pragma('temp_store = MEMORY')
    await migrate(client, file, options)
    client.pragma('foreign_keys = ON')
    const db = drizzle({ client })
    const installationId = identify(db)
    const hold = watchHold(file)
    const syncLog = await openLogSync(file)
    // From here on the committer syncs the log before it acknowledges; checkpoints are still synced by SQLite.
    client.pragma('synchronous = NORMAL')
    const committer = createCommitter(client, syncLog)
    const writeEvent = createEventWriter(db)
    return {
      installationId,
      ...createAccountActs(db, committer),
      ...createTokenActs({ db, client, committer, writeEvent }),
      ...createEventActs(db, committer, writeEvent),
      ...createAttemptActs(db, committer),
      ...createFileActs(db, committer, hold),
      ...createInspectionActs(db, client, committer),
      ...createMonitoringActs(db, client, committer),
      async close () {
        await syncLog.close()
        hold.close()
        client.close()
      }
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
