import type { Metadata } from '../metadata.ts'
import { createAccountRepository } from './accounts.ts'
import { createAttemptRepository } from './attempts.ts'
import { createBlobRepository } from './blobs.ts'
import { createConnections, type ConnectionOptions } from './connections.ts'
import { createEventRepository } from './events.ts'
import { createFileRepository } from './files.ts'
import { type BlobHolds, createBlobHolds } from './holds.ts'
import { createIntegrityRepository } from './integrity-check.ts'
import { applyMigrations } from './migrations.ts'
import { createMonitoringRepository } from './monitoring.ts'
import { createPortableFacts, type PortableFacts } from './portable-facts.ts'
import { installation } from './schema.ts'
import { createSigningKeyRepository, type SigningKeyRepository } from './signing-keys.ts'
import { explainConnectionFailure } from './startup.ts'
import { createTokenRepository } from './tokens.ts'

/** What PostgreSQL stores besides the contract. */
export interface PostgresMetadata extends Metadata, BlobHolds, PortableFacts, SigningKeyRepository {}

export interface PostgresOptions extends ConnectionOptions {
  /** Folder written by drizzle-kit. Default: the migrations of this version. */
  readonly migrationsFolder?: string
}

/**
 * Connects to the database and applies pending migrations. Any number of processes may use it.
 * @throws {OperatorError} with one line: the server can't be reached or is too old, or the database is newer; nothing has changed then.
 */
export async function openPostgresMetadata (options: PostgresOptions): Promise<PostgresMetadata> {
  const connections = createConnections(options)
  try {
    await applyMigrations(connections, options.migrationsFolder)
    const [row] = await connections.read(db => db.select().from(installation))
    return {
      installationId: String(row?.id),
      // The server answers for its storage: nothing that fails there makes this process unfit to go on.
      failed: new Promise(() => {}),
      ...createAccountRepository(connections),
      ...createTokenRepository(connections),
      ...createEventRepository(connections),
      ...createAttemptRepository(connections),
      ...createFileRepository(connections),
      ...createBlobRepository(connections),
      ...createIntegrityRepository(connections),
      ...createMonitoringRepository(connections),
      ...createBlobHolds(connections),
      ...createPortableFacts(connections),
      ...createSigningKeyRepository(connections),
      close: () => connections.close()
    }
  } catch (error) {
    await connections.close()
    throw explainConnectionFailure(error)
  }
}
