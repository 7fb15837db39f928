import { randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import { drizzle, type BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { openSharedSync, type SharedSync, sync } from '../../data-folder/durable-files.ts'
import { KEEP_NOTHING, type Keeping } from '../kept.ts'
import type { Metadata } from '../metadata.ts'
import { createAccountRepository } from './accounts.ts'
import { createAttemptRepository } from './attempts.ts'
import { createBlobRepository } from './blobs.ts'
import { createCommitter } from './committer.ts'
import { Database } from './driver.ts'
import { createEventRepository, createEventWriter } from './events.ts'
import { failureOf } from './failures.ts'
import { createFileWriter } from './file-writer.ts'
import { createFileRepository } from './files.ts'
import { createIntegrityRepository } from './integrity-check.ts'
import { createKeptRepository } from './kept.ts'
import { createKeptWriter } from './kept-writer.ts'
import { applyMigrations, refuseNewer, refuseNewerIn, type MigrationOptions } from './migrations.ts'
import { createMonitoringRepository } from './monitoring.ts'
import { watchRetentionLock } from './retention-lock.ts'
import { installation } from './schema.ts'
import { createTokenRepository } from './tokens.ts'
import { createUploadRepository } from './uploads.ts'

/** How long opening the database waits for another process that is writing to it. */
const OPENING_MILLISECONDS = 5000

export interface SqliteOptions extends MigrationOptions { readonly keeping?: Keeping }

/**
 * Opens the database in `file`, creates it if it does not exist, and applies pending migrations.
 * @throws {NewerDatabaseError} before it changes anything, {MigrationError} if a migration fails; nothing has changed then.
 * {DeniedFileError} if this user may not read and write a file of the database.
 */
export async function openSqliteMetadata (file: string, { keeping = KEEP_NOTHING, ...options }: SqliteOptions = {}): Promise<Metadata> {
  refuseNewer(file, options)
  const client = new Database(file, { timeout: OPENING_MILLISECONDS })
  try {
    refuseNewerIn(client, options)
    client.pragma('journal_mode = WAL')
    // Until the committer takes over below, SQLite syncs by itself.
    client.pragma('synchronous = FULL')
    // Temporary files, for sorting and savepoints, could not be written on a full disk.
    client.pragma('temp_store = MEMORY')
    await applyMigrations(client, file, options)
    client.pragma('foreign_keys = ON')
    const db = drizzle({ client })
    const installationId = identify(db)
    const retentionLock = watchRetentionLock(file)
    const syncLog = await openLogSync(file)
    // From here on the committer syncs the log before it acknowledges; SQLite still syncs checkpoints.
    client.pragma('synchronous = NORMAL')
    // The committer also waits for locks: SQLite would block the event loop.
    client.pragma('busy_timeout = 0')
    const committer = createCommitter(client, syncLog)
    const writeEvent = createEventWriter(db)
    const keptWriter = createKeptWriter(db, keeping)
    const writer = createFileWriter(db, keptWriter)
    return {
      installationId,
      failed: committer.failed,
      now: async () => Date.now(),
      ...createAccountRepository(db, committer),
      ...createTokenRepository({ db, committer, writeEvent }),
      ...createEventRepository(db, committer, writeEvent),
      ...createAttemptRepository(db, committer),
      ...createFileRepository(db, committer, writer),
      ...createUploadRepository(db, committer, { writer, keptWriter }),
      ...createKeptRepository({ db, committer, writer, keptWriter, keeping }),
      ...createBlobRepository(db, committer, retentionLock),
      ...createIntegrityRepository(db, client, committer),
      ...createMonitoringRepository(db, client, committer),
      async close () {
        await syncLog.close()
        retentionLock.close()
        client.close()
      }
    }
  } catch (error) {
    client.close()
    throw failureOf(error, file)
  }
}

/** The id of the installation, created at the first start. */
function identify (db: BetterSQLite3Database): string {
  const row = db.select().from(installation).get() ?? db.insert(installation).values({ id: randomUUID() }).returning().get()
  return row.id
}

/**
 * Opens the sync of the write-ahead log, which runs in a thread of the pool: SQLite's own would block the event loop. The log
 * has a checksum for each commit, so a commit is in it whole or not at all, in whatever order its pages are written. SQLite
 * holds no lock on the log that closing it here could drop.
 */
async function openLogSync (file: string): Promise<SharedSync> {
  // SQLite creates the log at each start, and its name must be as durable as its content.
  await sync(dirname(file))
  const syncLog = await openSharedSync(`${file}-wal`, log => log.datasync())
  // A process that was killed may have committed without syncing: that can be read now, and a power failure would undo it.
  await syncLog()
  return syncLog
}
