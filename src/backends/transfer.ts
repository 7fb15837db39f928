import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { BackupSource } from '../backup/backup.ts'
import type { RestoreTarget } from '../backup/restore-into.ts'
import type { RestoreTools } from '../backup/restore.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Config } from '../config.ts'
import { signingKeyLines } from '../config/signing-keys.ts'
import { dataFolderLayout, hasDatabase, writeSigningKeys } from '../data-folder/data-folder.ts'
import { readIfThere, sync, writeDurably } from '../data-folder/durable-files.ts'
import type { PostgresMetadata } from '../metadata/postgres/postgres.ts'
import { lockFolder, type FolderLock } from '../metadata/sqlite/lock.ts'
import { takeRetentionLock } from '../metadata/sqlite/retention-lock.ts'
import { openSnapshot, takeSnapshot } from '../metadata/sqlite/snapshot.ts'
import { ConfigError } from '../problems.ts'
import { checkFolder, lockDataFolder, openBlobs, openPostgres, prepareFolder, storageRecordIn } from './backends.ts'
import { blobPlaceOf, markRestored, refuseForeignMark } from './pairing.ts'

/** Blobs are only read, or written in an empty folder: no space is reserved. */
const noReserve = { missingBytes: 0 }

/** How long discarded bytes stay if the process that makes a backup died. */
const RETENTION_LOCK_SECONDS = 60

/** The backend functions that restoring a backup needs. */
export const restoreTools: RestoreTools = { openSnapshot, lockFolder }

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
    const blobs = await openBlobs(config, noReserve)
    return {
      installationId: snapshot.installationId,
      blobs,
      readKeys: () => readIfThere(join(config.dataDir, dataFolderLayout.signingKeys)),
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

async function openPostgresSource (config: Config, url: string): Promise<BackupSource> {
  await checkFolder(config)
  const metadata = await openPostgres(url)
  try {
    const blobs = await openBlobs(config, noReserve)
    const release = await keepDiscardedBlobs(metadata)
    let closing: Promise<void> | undefined
    return {
      installationId: metadata.installationId,
      blobs,
      readKeys: async () =>
        config.signingKeys === undefined ? Buffer.from(signingKeyLines(await metadata.readSigningKeys())) : undefined,
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

/**
 * Opens an empty store that is not a data folder alone, to restore a backup of an installation into it.
 * @throws {ConfigError} if it is not empty, or if its blobs are another installation's, {FolderInUseError} if a server
 * uses its data folder.
 */
export async function openRestoreTarget (config: Config, installationId: string): Promise<RestoreTarget> {
  await prepareFolder(config)
  const opened: { close (): unknown }[] = [lockDataFolder(config)]
  const close = async () => { for (const each of opened.splice(0).reverse()) await each.close() }
  try {
    const importer = config.databaseUrl === undefined
      ? await importerInto(config.dataDir)
      : await openEmptyPostgres(config.databaseUrl)
    opened.push(importer)
    const blobs = await openBlobs(config, noReserve)
    opened.push(blobs)
    await refuseForeignMark(blobPlaceOf(config), { metadata: { installationId }, blobs })
    return {
      blobs,
      importMetadata: async (file, keys) =>
        importer.importMetadata(file, keys, await markRestored(installationId, blobs)),
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Refused here before any blob is written; the import refuses it again, in its transaction. */
async function openEmptyPostgres (url: string): Promise<PostgresMetadata> {
  const metadata = await openPostgres(url)
  const hasAccounts = (await metadata.accounts.listAfter(0, 1)).length > 0
  // The servers on it would go on with tokens of another installation.
  if (!hasAccounts && await metadata.findStorageId() === undefined) return metadata
  await metadata.close()
  throw new ConfigError(`DATABASE_URL: the database ${hasAccounts ? 'has accounts' : 'was used by a server'}; a backup is restored into a new one`)
}

/** The database file is moved to its place whole. */
async function importerInto (dataDir: string): Promise<Pick<PostgresMetadata, 'importMetadata' | 'close'>> {
  if (await hasDatabase(dataDir)) throw new ConfigError(`DATA_DIR: ${dataDir} has a database; a backup is restored into an empty folder`)
  return {
    async importMetadata (file, keys, storageId) {
      await storageRecordIn(dataDir).record(String(storageId))
      if (keys !== undefined) await writeSigningKeys(dataDir, [...keys])
      await writeDurably(join(dataDir, dataFolderLayout.database), createReadStream(file))
      await sync(dataDir)
    },
    close: async () => {}
  }
}
