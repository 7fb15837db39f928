import { and, desc, eq, lt, sql } from 'drizzle-orm'
import { KEEP_NOTHING, type Keeping } from '../kept.ts'
import type { Metadata } from '../metadata.ts'
import { createAccountRepository } from './accounts.ts'
import { createAttemptRepository } from './attempts.ts'
import { createBlobRepository, createRetentionLocks, type RetentionLocks } from './blobs.ts'
import { type Connections, createConnections, readClock } from './connections.ts'
import { createFileRepository } from './files.ts'
import { createIntegrityRepository } from './integrity-check.ts'
import { createKeptRepository } from './kept.ts'
import { applyMigrations, checkVersions } from './migrations.ts'
import { createMonitoringRepository } from './monitoring.ts'
import { createPortableFacts, type PortableFacts } from './portable-facts.ts'
import { events, installation } from './schema.ts'
import { createSigningKeyRepository, type SigningKeyRepository } from './signing-keys.ts'
import { driverAddress, explainConnectionFailure } from './startup.ts'
import { createTokenRepository } from './tokens.ts'
import { createUploadRepository } from './uploads.ts'

/** Which blob store all processes that share the database must use. */
interface StorageRecord {
  findStorageId (): Promise<string | undefined>
  /** Records an id unless there is one. Returns the one that is recorded then. */
  recordStorageId (id: string): Promise<string>
}

/** What PostgreSQL stores besides the contract. */
export interface PostgresMetadata extends Metadata, PortableFacts, RetentionLocks, SigningKeyRepository, StorageRecord {}

export interface PostgresOptions {
  readonly url: string
  readonly keeping?: Keeping
  /** How many connections this process uses at most, and one more for what takes long. */
  readonly poolSize?: number
  /** Folder written by drizzle-kit. Default: the migrations of this version. */
  readonly migrationsFolder?: string
}

/**
 * Connects to the database and applies pending migrations. Any number of processes may use it.
 * @throws {OperatorError} with one line: the server can't be reached or is too old, or the database is newer; nothing has changed then.
 */
export async function openPostgresMetadata ({ poolSize = 10, keeping = KEEP_NOTHING, migrationsFolder, ...options }: PostgresOptions): Promise<PostgresMetadata> {
  const url = driverAddress(options.url)
  const connections = createConnections({ url, poolSize, work: 'short' })
  const patient = createConnections({ url, poolSize: 1, work: 'long' })

  async function close (): Promise<void> {
    await Promise.all([connections.close(), patient.close()])
  }

  try {
    await applyMigrations(connections, patient, migrationsFolder)
    const [row] = await connections.read(db => db.select().from(installation))
    return {
      installationId: String(row?.id),
      // The server answers for its storage: nothing that fails there makes this process unfit to go on.
      failed: new Promise(() => {}),
      now: () => connections.read(readClock),
      ...createAccountRepository(connections),
      ...createTokenRepository(connections),
      ...createEventRepository(connections),
      ...createAttemptRepository(connections),
      ...createFileRepository(connections, keeping),
      ...createUploadRepository(connections, keeping),
      ...createKeptRepository(connections, keeping),
      ...createBlobRepository(connections),
      ...createIntegrityRepository(connections, patient),
      ...createMonitoringRepository(connections, patient),
      ...createRetentionLocks(connections),
      ...createPortableFacts(patient),
      ...createSigningKeyRepository(connections),
      ...createStorageRecord(connections),
      close
    }
  } catch (error) {
    await close()
    throw explainConnectionFailure(error)
  }
}

function createEventRepository ({ read, execute }: Connections): Pick<Metadata, 'addEvent' | 'listEvents'> {
  return {
    addEvent: ({ accountId, kind, network, requestId, at = null }, keep) => execute(async db => {
      await db.execute(sql`SELECT add_event(${accountId}, ${kind}, ${network}, ${requestId}, ${at}, ${keep})`)
    }),

    listEvents: (accountId, { beforeId, limit }) => read(db => db.select().from(events)
      .where(and(eq(events.accountId, accountId), beforeId === undefined ? undefined : lt(events.id, beforeId)))
      .orderBy(desc(events.id)).limit(limit))
  }
}

function createStorageRecord ({ read, executeIdempotent }: Connections): StorageRecord {
  return {
    async findStorageId () {
      const [row] = await read(db => db.select({ id: installation.storageId }).from(installation))
      return row?.id ?? undefined
    },

    async recordStorageId (id) {
      const [row] = await executeIdempotent(db => db.update(installation).set({ storageId: sql`coalesce(${installation.storageId}, ${id})` }).returning({ id: installation.storageId }))
      return String(row?.id)
    }
  }
}

/** Checks a database without changing it: the version of its server, and whether the next start upgrades it. @throws {OperatorError} with one line. */
export async function checkPostgres (url: string): Promise<{ version: string, isOutdated: boolean }> {
  const connections = createConnections({ url: driverAddress(url), poolSize: 1, work: 'short' })
  return checkVersions(connections).finally(connections.close).catch((error: unknown) => { throw explainConnectionFailure(error) })
}
