import { join } from 'node:path'
import type { BackupSource } from '../backup/backup.ts'
import type { RestoreTools } from '../backup/restore.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Config } from '../config.ts'
import { signingKeyLines } from '../config/signing-keys.ts'
import { dataFolderLayout } from '../data-folder/data-folder.ts'
import { readIfThere } from '../data-folder/durable-files.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { PostgresMetadata } from '../metadata/postgres/postgres.ts'
import { type FolderLock, lockFolder } from '../metadata/sqlite/lock.ts'
import { takeRetentionLock } from '../metadata/sqlite/discarded-blobs.ts'
import { openSnapshot, takeSnapshot } from '../metadata/sqlite/snapshot.ts'
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.ts'
import { checkFolder, openBlobs, openPostgres, storageRecordIn, storageRecordOf } from './backends.ts'
import { blobPlaceOf } from './blob-place.ts'
import { findRecorded, type StorageRecord } from './pairing.ts'

/** Blobs are only read: no space is reserved. */
const noReserve = { missingBytes: 0 }

/** How long discarded bytes stay if the process that makes a backup died. */
const RETENTION_LOCK_SECONDS = 60

/** The backend functions that restoring a backup needs. */
export const restoreTools: RestoreTools = { openSnapshot, lockFolder }

/** Opens the database of a snapshot, of this version or an older one, which is upgraded. */
export function openSnapshotMetadata (file: string): Promise<Metadata> {
  return openSqliteMetadata(file)
}

/** Opens the metadata to record what a command did; undefined if that would upgrade the database. */
export async function openMetadataToRecord ({ dataDir, databaseUrl }: Config): Promise<Metadata | undefined> {
  if (databaseUrl !== undefined) return openPostgres(databaseUrl)
  const file = join(dataDir, dataFolderLayout.database)
  const snapshot = openSnapshot(file)
  snapshot.close()
  return snapshot.isOutdated ? undefined : openSqliteMetadata(file)
}

/** Locks a backup folder. @throws {FolderInUseError}. */
export function lockBackupFolder (file: string): FolderLock {
  return lockFolder(file, { inUse: 'another backup to this folder is running' })
}

/**
 * Opens the store for a backup, with or without running servers.
 * @throws {FolderInUseError} if another backup of the same folder is running.
 */
export async function openBackupSource (config: Config): Promise<BackupSource> {
  const { dataDir, databaseUrl } = config
  return databaseUrl === undefined
    ? openSqliteSource(config, join(dataDir, dataFolderLayout.database))
    : openPostgresSource(config, databaseUrl)
}

/** Opens the data folder read-only, with the retention lock. */
async function openSqliteSource (config: Config, file: string): Promise<BackupSource> {
  const retentionLock = takeRetentionLock(file)
  try {
    const snapshot = openSnapshot(file)
    snapshot.close()
    const blobs = await openBlobsOf(config, snapshot, storageRecordIn(config.dataDir))
    return {
      installationId: snapshot.installationId,
      blobs,
      readKeys: name => readIfThere(join(config.dataDir, name)),
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
async function openBlobsOf (
  config: Config, { installationId }: Pick<Metadata, 'installationId'>, storage: StorageRecord
): Promise<BlobStore> {
  const blobs = await openBlobs(config, noReserve)
  if (config.databaseUrl === undefined && config.storageUrl === undefined) return blobs
  try {
    await findRecorded(blobPlaceOf(config), { metadata: { installationId }, blobs, storage })
    return blobs
  } catch (error) {
    await blobs.close()
    throw error
  }
}

async function openPostgresSource (config: Config, url: string): Promise<BackupSource> {
  await checkFolder(config)
  const metadata = await openPostgres(url)
  try {
    const blobs = await openBlobsOf(config, metadata, storageRecordOf(metadata))
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
        closing ??= closeAll(release, blobs, metadata)
        return closing
      }
    }
  } catch (error) {
    await metadata.close()
    throw error
  }
}

async function closeAll (release: () => Promise<void>, blobs: BlobStore, metadata: PostgresMetadata): Promise<void> {
  await release()
  await blobs.close()
  await metadata.close()
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
