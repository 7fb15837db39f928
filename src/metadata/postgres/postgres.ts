import { sql } from 'drizzle-orm'
import { KEEP_NOTHING, type Keeping } from '../kept-repository.ts'
import type { DatabaseServer, Metadata } from '../metadata.ts'
import { createRepositories } from '../repositories.ts'
import { createAttemptClaims } from './attempt-claims.ts'
import { Connections } from './connections.ts'
import { createDiscardedBlobs, createRetentionLocks, type RetentionLocks } from './discarded-blobs.ts'
import { createPostgresEngine } from './engine.ts'
import { checkIntegrity } from './integrity-check.ts'
import { applyMigrations, checkVersions } from './migrations.ts'
import { createPortableMetadata, type PortableMetadata } from './portable-metadata.ts'
import { installation } from './schema.ts'
import { createSigningKeyRepository, type SigningKeyRepository } from './signing-keys.ts'
import { createTokenFinder } from './token-finder.ts'
import { driverAddress, explainConnectionFailure } from './startup.ts'

/** Which blob store all processes that share the database must use. */
interface StorageRecord {
  findStorageId (): Promise<string | undefined>
  /** Records an id unless there is one. Returns the one that is recorded then. */
  recordStorageId (id: string): Promise<string>
}

/** What PostgreSQL stores besides the contract. */
export interface PostgresMetadata
  extends Metadata, PortableMetadata, RetentionLocks, SigningKeyRepository, StorageRecord {}

export interface PostgresOptions {
  readonly url: string
  readonly keeping?: Keeping
  /** Milliseconds since 1970. Default: the clock of the database. */
  readonly clock?: () => number
  /** How many connections this process uses at most, and one more for what takes long. */
  readonly poolSize?: number
  /** Folder written by drizzle-kit. Default: the migrations of this version. */
  readonly migrationsFolder?: string
}

/**
 * Connects to the database and applies pending migrations. Any number of processes may use it.
 * @throws {OperatorError} with one line: the server can't be reached or is too old, or the database is newer; nothing
 * has changed then.
 */
export async function openPostgresMetadata ({
  poolSize = 10, keeping = KEEP_NOTHING, clock, migrationsFolder, ...options
}: PostgresOptions): Promise<PostgresMetadata> {
  const url = driverAddress(options.url)
  const connections = new Connections({ url, poolSize, work: 'short' })
  const longRunning = new Connections({ url, poolSize: 1, work: 'long' })

  async function close (): Promise<void> {
    await Promise.all([connections.close(), longRunning.close()])
  }

  try {
    const engine = createPostgresEngine(connections, clock)
    await applyMigrations(connections, longRunning, migrationsFolder)
    const [row] = await connections.read(db => db.select().from(installation))
    return {
      installationId: String(row?.id),
      // The server answers for its storage: nothing that fails there makes this process unfit to go on.
      failed: new Promise(() => {}),
      now: () => engine.read(engine.now),
      ...createRepositories({
        engine,
        longRunning: createPostgresEngine(longRunning, clock),
        keeping,
        tokenFinder: createTokenFinder(engine),
        attemptClaims: createAttemptClaims(engine),
        discardedBlobs: createDiscardedBlobs(engine)
      }),
      checkIntegrity: () => checkIntegrity(longRunning),
      // A row with the same values is a new version of it, and so a commit.
      probe: () => connections.apply(async db => { await db.update(installation).set({ id: sql`${installation.id}` }) }),
      watchCommits: observer => connections.watch(observer),
      server: serverOf(connections, longRunning),
      ...createRetentionLocks(engine),
      ...createPortableMetadata(longRunning),
      ...createSigningKeyRepository(connections),
      ...createStorageRecord(connections),
      close
    }
  } catch (error) {
    await close()
    throw explainConnectionFailure(error)
  }
}

function serverOf (...pools: Connections[]): DatabaseServer {
  return {
    watchRequests: observer => { for (const pool of pools) pool.watchRequests(observer) },
    countConnections: () => pools.map(pool => pool.count()).reduce((sum, { inUse, idle, waiting, max }) =>
      ({ inUse: sum.inUse + inUse, idle: sum.idle + idle, waiting: sum.waiting + waiting, max: sum.max + max }))
  }
}

function createStorageRecord (connections: Connections): StorageRecord {
  return {
    async findStorageId () {
      const [row] = await connections.read(db => db.select({ id: installation.storageId }).from(installation))
      return row?.id ?? undefined
    },

    async recordStorageId (id) {
      const [row] = await connections.apply(db => db.update(installation)
        .set({ storageId: sql`coalesce(${installation.storageId}, ${id})` }).returning({ id: installation.storageId }))
      return String(row?.id)
    }
  }
}

/**
 * Checks a database without changing it: the version of its server, and whether the next start upgrades it.
 * @throws {OperatorError} with one line.
 */
export async function checkPostgres (url: string): Promise<{ version: string, isOutdated: boolean }> {
  const connections = new Connections({ url: driverAddress(url), poolSize: 1, work: 'short' })
  return checkVersions(connections).finally(() => connections.close())
    .catch((error: unknown) => { throw explainConnectionFailure(error) })
}
