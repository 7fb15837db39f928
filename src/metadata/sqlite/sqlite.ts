import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3'
import { createEpoch, createIds } from '../ids.ts'
import { NO_RETENTION, type RetentionPolicy } from '../retention-records.ts'
import type { Metadata } from '../metadata.ts'
import { createRepositories } from '../services.ts'
import { createOpenAttempts } from './open-attempts.ts'
import { Committer, openLogSync } from './committer.ts'
import { createDiscardedBlobs, watchRetentionLock } from './discarded-blobs.ts'
import { Database } from './driver.ts'
import { createSqliteEngine, type WithSpace } from './engine.ts'
import { failureOf } from './failures.ts'
import { integrityErrors } from './integrity-check.ts'
import { LongTransactions } from './long-transactions.ts'
import { applyMigrations, type MigrationOptions, refuseUnknown, refuseUnknownIn } from './migrations.ts'
import { installation } from './schema.ts'

/** How long opening the database waits for another process that is writing to it. */
const OPENING_MILLISECONDS = 5000

interface SqliteOptions extends MigrationOptions {
  readonly retentionPolicy?: RetentionPolicy
  /** Milliseconds since 1970. Default: the clock of this machine. */
  readonly clock?: (() => number) | undefined
  /** Runs a transaction, again while it fails because the disk is full and this makes space. */
  readonly withSpace?: WithSpace
}

/**
 * Opens the database in `file`, creates it if it does not exist, and applies pending migrations.
 * @throws {UnknownMigrationError}, or {MigrationError} if one fails; nothing has changed then. {DeniedFileError}
 * if this user may not read and write a file of the database.
 */
export async function openSqliteMetadata (
  file: string, {
    retentionPolicy = NO_RETENTION, clock = Date.now, withSpace = operation => operation(), ...options
  }: SqliteOptions = {}
): Promise<Metadata> {
  refuseUnknown(file, options)
  const client = new Database(file, { timeout: OPENING_MILLISECONDS })
  try {
    refuseUnknownIn(client, options)
    client.pragma('journal_mode = WAL')
    // Until the committer takes over below, SQLite syncs by itself.
    client.pragma('synchronous = FULL')
    // Temporary files, for sorting and savepoints, could not be written on a full disk.
    client.pragma('temp_store = MEMORY')
    await applyMigrations(client, file, options)
    client.pragma('foreign_keys = ON')
    client.function('clock', clock)
    const db = drizzle({ client })
    const { id: installationId, epoch } = identify(db)
    const ids = createIds(epoch)
    const retentionLock = watchRetentionLock(file)
    const syncLog = await openLogSync(file)
    // From here on the committer syncs the log before it acknowledges; SQLite still syncs checkpoints.
    client.pragma('synchronous = NORMAL')
    // The committer also waits for locks: SQLite would block the event loop.
    client.pragma('busy_timeout = 0')
    const committer = new Committer(client, syncLog)
    const longTransactions = new LongTransactions({ file, clock })
    const engine = createSqliteEngine({ db, committer, longTransactions, clock, withSpace })
    const repositories = createRepositories({
      engine,
      ids,
      longRunning: engine,
      retentionPolicy,
      openAttempts: createOpenAttempts(engine),
      discardedBlobs: createDiscardedBlobs(engine, retentionLock.isHeld)
    })
    await repositories.sortKeys.fill()
    return {
      installationId,
      ids,
      failed: committer.failed,
      now: async () => clock(),
      ...repositories,
      checkIntegrity: () => committer.read(() => integrityErrors(client)),
      probe: () => committer.commit(() => probe(db, client)),
      watchCommits: observer => committer.watch(observer),
      server: undefined,
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

/** The id of the installation, created at the first start, and its epoch, also created at the first after a restore. */
function identify (db: BetterSQLite3Database): { id: string, epoch: string } {
  const { id, epoch } = db.select().from(installation).get() ??
    db.insert(installation).values({ id: randomUUID() }).returning().get()
  if (epoch !== null) return { id, epoch }
  // Another process may have set it meanwhile.
  const known = db.update(installation)
    .set({ epoch: sql`coalesce(${installation.epoch}, ${createEpoch()})` }).returning().get()
  return { id, epoch: String(known?.epoch) }
}

/** Reads, and changes the database without effect. */
function probe (db: BetterSQLite3Database, client: Database): void {
  db.select().from(installation).all()
  // Writing a row with the same values writes nothing to the disk. This number in the file's header has no other use.
  client.pragma(`user_version = ${1 - Number(client.pragma('user_version', { simple: true }))}`)
}
