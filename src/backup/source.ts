import { join } from 'node:path'
import { openBlobs, openPostgres, storageRecordIn } from '../backends/backends.ts'
import { findPairing, type PairedDatabase } from '../backends/pairing.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Config } from '../config.ts'
import { signingKeyLines } from '../config/signing-keys.ts'
import { dataFolderLayout, isDataFolderAlone, requireUsableFolder } from '../data-folder/data-folder.ts'
import { readIfThere } from '../data-folder/durable-files.ts'
import type { PostgresMetadata } from '../metadata/postgres/postgres.ts'
import { takeRetentionLock } from '../metadata/sqlite/discarded-blobs.ts'
import { openSnapshot, takeSnapshot } from '../metadata/sqlite/snapshot.ts'
import type { BackupSource } from './backup.ts'

/** How long discarded bytes stay if the process that makes a backup died. */
const RETENTION_LOCK_SECONDS = 60

/**
 * Opens the store for a backup, with or without running servers.
 * @throws {FolderInUseError} if another backup of the same folder is running.
 */
export async function openBackupSource (config: Config): Promise<BackupSource> {
  return config.databaseUrl === undefined ? openSqliteSource(config) : openPostgresSource(config, config.databaseUrl)
}

/** Opens the data folder read-only, with the retention lock. */
async function openSqliteSource (config: Config): Promise<BackupSource> {
  const { dataDir } = config
  const file = join(dataDir, dataFolderLayout.database)
  const retentionLock = takeRetentionLock(file)
  try {
    const snapshot = openSnapshot(file)
    snapshot.close()
    const { installationId } = snapshot
    const blobs = await openBlobsOf(config, { installationId, ...storageRecordIn(dataDir) })
    return {
      installationId,
      blobs,
      readKeys: name => readIfThere(join(dataDir, name)),
      takeSnapshot: copy => takeSnapshot(file, copy),
      async close () {
        await blobs.close()
        retentionLock.close()
      }
    }
  } catch (error) {
    retentionLock.close()
    throw error
  }
}

/** Opens the blobs to be backed up. @throws {ConfigError} if a restore into them was interrupted. */
async function openBlobsOf (config: Config, database: Omit<PairedDatabase, 'blobs'>): Promise<BlobStore> {
  const blobs = await openBlobs(config)
  try {
    if (!isDataFolderAlone(config)) await findPairing(config, database, blobs)
    return blobs
  } catch (error) {
    await blobs.close()
    throw error
  }
}

async function openPostgresSource (config: Config, url: string): Promise<BackupSource> {
  await requireUsableFolder(config)
  const metadata = await openPostgres(url)
  try {
    const blobs = await openBlobsOf(config, metadata)
    const release = await keepDiscardedBlobs(metadata)
    let closing: Promise<void> | undefined
    return {
      installationId: metadata.installationId,
      blobs,
      async readKeys (name) {
        const { signingKeys, sealingKeys } = metadata
        const keys = await (name === dataFolderLayout.signingKeys ? signingKeys : sealingKeys).find()
        return keys && Buffer.from(signingKeyLines(keys))
      },
      async takeSnapshot (copy) {
        await metadata.exportMetadata(copy)
        return openSnapshot(copy)
      },
      close () {
        closing ??= release().then(() => blobs.close()).then(() => metadata.close())
        return closing
      }
    }
  } catch (error) {
    await metadata.close()
    throw error
  }
}

/**
 * Keeps the bytes of discarded blobs until the returned function is called. If the lock expires early, bytes may be
 * missing and the backup fails.
 */
async function keepDiscardedBlobs (metadata: PostgresMetadata): Promise<() => Promise<void>> {
  const id = await metadata.takeRetentionLock(RETENTION_LOCK_SECONDS)
  const renew = () => { metadata.renewRetentionLock(id, RETENTION_LOCK_SECONDS).catch(() => {}) }
  const timer = setInterval(renew, RETENTION_LOCK_SECONDS * 1000 / 4)
  return async () => {
    clearInterval(timer)
    await metadata.releaseRetentionLock(id)
  }
}
