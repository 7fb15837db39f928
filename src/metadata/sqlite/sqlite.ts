import { randomUUID } from 'node:crypto'
import { drizzle, type BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { Metadata } from '../metadata.ts'
import { createAccountRepository } from './accounts.ts'
import { createAttemptRepository } from './attempts.ts'
import { createCommitter } from './committer.ts'
import { Database } from './driver.ts'
import { createEventRepository, createEventWriter } from './events.ts'
import { failureOf } from './failures.ts'
import { createFileRepository } from './files.ts'
import { createIntegrityRepository } from './integrity-check.ts'
import { openLogSync } from './log-sync.ts'
import { applyMigrations, refuseNewer, refuseNewerIn, type MigrationOptions } from './migrations.ts'
import { createMonitoringRepository } from './monitoring.ts'
import { watchRetentionLock } from './retention-lock.ts'
import { installation } from './schema.ts'
import { createTokenRepository } from './tokens.ts'

/** How long the opening of a database waits for another process that is writing to it. */
const OPENING_MILLISECONDS = 5000

/**
 * Opens the database in `file`, makes it if need be and brings it up to date.
 * @throws {NewerDatabaseError} before it changes anything, {MigrationError} where that fails and nothing has changed.
 */
export async function openSqliteMetadata (file: string, options: MigrationOptions = {}): Promise<Metadata> {
  refuseNewer(file, options)
  const client = new Database(file, { timeout: OPENING_MILLISECONDS })
  try {
    refuseNewerIn(client, options)
    client.pragma('journal_mode = WAL')
    // What is done while opening is synced by SQLite itself.
    client.pragma('synchronous = FULL')
    // What SQLite sorts or undoes in a file of its own would fail on a full disk.
    client.pragma('temp_store = MEMORY')
    await applyMigrations(client, file, options)
    client.pragma('foreign_keys = ON')
    const db = drizzle({ client })
    const installationId = identify(db)
    const hold = watchRetentionLock(file)
    const syncLog = await openLogSync(file)
    // From here on the committer syncs the log before it acknowledges; checkpoints are still synced by SQLite.
    client.pragma('synchronous = NORMAL')
    // And it waits for locks itself: SQLite would stop the event loop for that.
    client.pragma('busy_timeout = 0')
    const committer = createCommitter(client, syncLog)
    const writeEvent = createEventWriter(db)
    return {
      installationId,
      failed: committer.failed,
      ...createAccountRepository(db, committer),
      ...createTokenRepository({ db, committer, writeEvent }),
      ...createEventRepository(db, committer, writeEvent),
      ...createAttemptRepository(db, committer),
      ...createFileRepository(db, committer, hold),
      ...createIntegrityRepository(db, client, committer),
      ...createMonitoringRepository(db, client, committer),
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
