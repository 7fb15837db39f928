import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { sql } from 'drizzle-orm'
import type { KeyStore, SigningKey } from '../../config/signing-keys.ts'
import { type BlobRepository, createBlobs } from '../blobs.ts'
import { createEpoch, createIds } from '../ids.ts'
import { NO_RETENTION, type RetentionPolicy } from '../retention-records.ts'
import type { DatabaseServer, Metadata } from '../metadata.ts'
import { createRepositories } from '../services.ts'
import { createOpenAttempts } from './open-attempts.ts'
import { ConnectionPool } from './connections.ts'
import { createDiscardedBlobs, createRetentionLocks, type RetentionLocks } from './discarded-blobs.ts'
import { createPostgresEngine } from './engine.ts'
import { checkIntegrity } from './integrity-check.ts'
import { applyMigrations, inspect, type DatabaseReport, type PostgresMigrationOptions } from './migrations.ts'
import { createKeyTable } from './key-table.ts'
import { createPortableMetadata, type PortableMetadata } from './portable-metadata.ts'
import { APPLICATION, POOL_SIZES } from './requirements.ts'
import { installation, sealingKeys, signingKeys, totpSecrets } from './schema.ts'
import { driverAddress, explainConnectionFailure } from './startup.ts'

/** What PostgreSQL stores besides the contract. */
export interface PostgresMetadata
  extends Metadata, PortableMetadata, RetentionLocks, StorageRecorder {
  readonly signingKeys: KeyStore
  readonly sealingKeys: KeyStore
}

export interface PostgresOptions extends PostgresMigrationOptions {
  readonly url: string
  readonly retentionPolicy?: RetentionPolicy
  /** Milliseconds since 1970. Default: the clock of the database. */
  readonly clock?: (() => number) | undefined
  /** How many connections this process uses at most, and one more for what takes long. */
  readonly poolSize?: number
}

/**
 * Connects to the database and applies pending migrations. Any number of processes may use it.
 * @throws {OperatorError} with one line: the server can't be reached or is too old, the database is newer, or an
 * older version is using it; nothing has changed then.
 */
export async function openPostgresMetadata ({
  poolSize = POOL_SIZES.short, retentionPolicy = NO_RETENTION, clock, ...options
}: PostgresOptions): Promise<PostgresMetadata> {
  const url = driverAddress(options.url)
  const application = `${APPLICATION}${randomBytes(4).toString('hex')} ${hostname()}`
  const connections = new ConnectionPool({ url, poolSize, application, work: 'short' })
  const longRunning = new ConnectionPool({ url, poolSize: POOL_SIZES.long, application, work: 'long' })

  async function close (): Promise<void> {
    await Promise.all([connections.close(), longRunning.close()])
  }

  try {
    const engine = createPostgresEngine(connections, clock)
    await applyMigrations(connections, longRunning, options)
    const { id: installationId, epoch } = await identify(connections)
    const ids = createIds(epoch)
    const repositories = createRepositories({
      engine,
      ids,
      longRunning: createPostgresEngine(longRunning, clock),
      retentionPolicy,
      openAttempts: createOpenAttempts(engine),
      discardedBlobs: createDiscardedBlobs(engine)
    })
    await repositories.sortKeys.fill()
    return {
      installationId,
      ids,
      // The server answers for its storage: nothing that fails there makes this process unfit to go on.
      failed: new Promise(() => {}),
      now: () => engine.read(engine.now),
      ...repositories,
      checkIntegrity: () => checkIntegrity(longRunning),
      // A row with the same values is a new version of it, and so a commit.
      probe: () => connections.apply(async db => {
        await db.update(installation).set({ id: sql`${installation.id}` })
      }),
      watchCommits: observer => connections.watch(observer),
      server: serverOf(connections, longRunning),
      ...createRetentionLocks(engine),
      ...createPortableMetadata(longRunning),
      signingKeys: createKeyTable(connections, signingKeys),
      sealingKeys: createKeyTable(connections, sealingKeys),
      ...createStorageRecord(connections),
      close
    }
  } catch (error) {
    await close()
    throw explainConnectionFailure(error, url)
  }
}

/** The id of the installation, and its epoch, created at the first start, also at the first after a restore. */
async function identify (connections: ConnectionPool): Promise<{ id: string, epoch: string }> {
  const [row] = await connections.read(db => db.select().from(installation))
  // Another process may have set it meanwhile.
  const [known] = row?.epoch === null
    ? await connections.apply(db => db.update(installation)
      .set({ epoch: sql`coalesce(${installation.epoch}, ${createEpoch()})` }).returning())
    : [row]
  return { id: String(known?.id), epoch: String(known?.epoch) }
}

function serverOf (...pools: ConnectionPool[]): DatabaseServer {
  return {
    watchRequests: observer => { for (const pool of pools) pool.watchRequests(observer) },
    countConnections: () => pools.map(pool => pool.count()).reduce((sum, { inUse, idle, waiting, max }) =>
      ({ inUse: sum.inUse + inUse, idle: sum.idle + idle, waiting: sum.waiting + waiting, max: sum.max + max }))
  }
}

/** Which blob store all processes that share the database must use. */
type StorageRecorder = ReturnType<typeof createStorageRecord>

function createStorageRecord (connections: ConnectionPool) {
  return {
    async findStorageId (): Promise<string | undefined> {
      const [row] = await connections.read(db => db.select({ id: installation.storageId }).from(installation))
      return row?.id ?? undefined
    },

    /** Records an id unless there is one. Returns the one that is recorded then. */
    async recordStorageId (id: string): Promise<string> {
      const [row] = await connections.apply(db => db.update(installation)
        .set({ storageId: sql`coalesce(${installation.storageId}, ${id})` }).returning({ id: installation.storageId }))
      return String(row?.id)
    }
  }
}

/** A report on a database, and what a blob store is compared with. */
export interface OpenReport extends DatabaseReport, Pick<StorageRecorder, 'findStorageId'> {
  /** Undefined if the database is new. */
  readonly installationId: string | undefined
  readonly blobs: Pick<BlobRepository, 'listContents'>
  /** The ids of the keys that sealed secrets, and the keys that there are. */
  findSealing (): Promise<{ sealedBy: string[], keys: readonly SigningKey[] }>
  close (): Promise<void>
}

async function findSealing (connections: ConnectionPool): Promise<{ sealedBy: string[], keys: readonly SigningKey[] }> {
  const kid = sql<string>`split_part(${totpSecrets.secret}, '.', 1)`
  const sealed = await connections.read(db => db.selectDistinct({ kid }).from(totpSecrets))
  return { sealedBy: sealed.map(row => row.kid), keys: await createKeyTable(connections, sealingKeys).find() ?? [] }
}

/** Opens a database without changing it. @throws {OperatorError} as `openPostgresMetadata`. */
export async function inspectPostgres (address: string): Promise<OpenReport> {
  const url = driverAddress(address)
  const connections = new ConnectionPool({ url, poolSize: 1, application: 'magicstore', work: 'short' })
  const close = () => connections.close()
  try {
    const report = await inspect(connections)
    const engine = createPostgresEngine(connections, undefined)
    // What is read here is in the tables of every version.
    const findId = () => connections.read(db => db.select({ id: installation.id }).from(installation))
    const [row] = report.isNew ? [] : await findId()
    return {
      ...report,
      installationId: row?.id,
      blobs: createBlobs(engine, createDiscardedBlobs(engine)),
      findSealing: async () => report.isNew ? { sealedBy: [], keys: [] } : findSealing(connections),
      ...createStorageRecord(connections),
      close
    }
  } catch (error) {
    await close()
    throw explainConnectionFailure(error, url)
  }
}
