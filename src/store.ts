import { join } from 'node:path'
import { createAccounts, type Accounts } from './accounts/accounts.ts'
import { createAttemptLimiter, type AttemptLimiter } from './accounts/attempt-limiter.ts'
import { createPasswords, type Passwords } from './accounts/password.ts'
import type { BackupSource } from './backup/backup.ts'
import type { RestoreTools } from './backup/restore.ts'
import type { BlobStore, Reserve } from './blobs/blob-store.ts'
import { checkBlobFolders, dataFolderLayout, findSigningKeys, prepareDataFolder, readSigningKeys } from './blobs/disk/data-folder.ts'
import { openDiskBlobs } from './blobs/disk/disk.ts'
import { readIfThere } from './blobs/disk/durable-files.ts'
import { openReserve } from './blobs/disk/reserve.ts'
import type { Config } from './config.ts'
import type { DatabaseTools } from './doctor/database.ts'
import { createFiles, type Files } from './files/files.ts'
import { startHousekeeping } from './metadata/housekeeping.ts'
import type { Metadata } from './metadata/metadata.ts'
import { findReadableDatabase, isBesideDatabase } from './metadata/sqlite/database-file.ts'
import { checkDatabaseIntegrity } from './metadata/sqlite/integrity-check.ts'
import { lockFolder, type FolderLock } from './metadata/sqlite/lock.ts'
import { takeRetentionLock } from './metadata/sqlite/retention-lock.ts'
import { openSnapshot, takeSnapshot } from './metadata/sqlite/snapshot.ts'
import { openSqliteMetadata } from './metadata/sqlite/sqlite.ts'
import { createKeyRing, type KeyRing } from './tokens/key-ring.ts'

interface Backends { readonly metadata: Metadata, readonly blobs: BlobStore, readonly reserve: Reserve }

interface Rules { readonly passwords: Passwords, readonly attemptLimiter: AttemptLimiter, readonly accounts: Accounts, readonly files: Files }

/** The store as operator commands use it, with or without a running server. */
export interface OperatorStore extends Backends, Rules {
  /** Waits for pending work, then closes the backends. */
  close (): Promise<void>
}

/** The whole application but HTTP: the rules, over the backends that the settings choose. */
export interface Store extends OperatorStore {
  readonly config: Config
  readonly keyRing: KeyRing
}

/**
 * Opens a data folder that a server may be using, or creates one. Recovers nothing, and locks the folder only while
 * the database is upgraded. @throws {FolderInUseError} if it must be upgraded while a server, of an older version, is running.
 */
export async function openOperatorStore (config: Config): Promise<OperatorStore> {
  await prepareFolders(config)
  const backends = await openBackends(
    config,
    () => lockFolder(
      join(config.dataDir, dataFolderLayout.lock),
      { inUse: 'a MagicStore server of an older version uses this data folder; restart the server first, so that it upgrades the database' }
    )
  )
  const rules = await createRules(config, backends)
  return { ...backends, ...rules, close: () => closeAll(backends, rules) }
}

/**
 * Opens the data folder for the server, exclusively, and recovers from uploads that were interrupted when the last one ended.
 * @throws {FolderInUseError} if another server uses it, {NewerDatabaseError} if a newer version made it.
 */
export async function openStore (config: Config): Promise<Store> {
  await prepareFolders(config)
  const lock = lockFolder(join(config.dataDir, dataFolderLayout.lock))
  try {
    const keyRing = await openKeyRing(config)
    const backends = await openBackends(config)
    const rules = await createRules(config, backends)
    await rules.files.recover()
    const housekeeping = startHousekeeping({ ...backends, sweep: rules.files.sweep })
    return {
      ...backends,
      ...rules,
      config,
      keyRing,
      async close () {
        housekeeping.stop()
        await closeAll(backends, rules)
        lock.close()
      }
    }
  } catch (error) {
    lock.close()
    throw error
  }
}

/**
 * Opens a data folder for a backup, with or without a running server: read-only, with the retention lock. @throws
 * {FolderInUseError} if another backup is running.
 */
export async function openBackupSource (config: Config): Promise<BackupSource> {
  const { dataDir } = config
  const file = join(dataDir, dataFolderLayout.database)
  const retentionLock = takeRetentionLock(file)
  try {
    const snapshot = openSnapshot(file)
    snapshot.close()
    const blobs = await openBlobs(config, { missingBytes: 0 })
    return {
      installationId: snapshot.installationId,
      blobs,
      readKeys: () => readIfThere(join(dataDir, dataFolderLayout.signingKeys)),
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

/** Locks a backup folder. @throws {FolderInUseError}. */
export function lockBackupFolder (file: string): FolderLock {
  return lockFolder(file, { inUse: 'another backup to this folder is running' })
}

/** The backend functions that restoring a backup needs. */
export const restoreTools: RestoreTools = { openSnapshot, lockFolder }

/** The backend functions that `magicstore doctor` needs. */
export const doctorTools: DatabaseTools = { isBesideDatabase, findReadableDatabase, checkDatabaseIntegrity }

/** Keys of the environment stay as they are. Those in the data folder can be rotated while the server runs. */
async function openKeyRing ({ signingKeys, dataDir }: Config): Promise<KeyRing> {
  if (signingKeys !== undefined) return createKeyRing(signingKeys, async () => signingKeys)
  return createKeyRing(await readSigningKeys(dataDir), () => findSigningKeys(dataDir))
}

async function openBackends (config: Config, takeFolder?: () => FolderLock): Promise<Backends> {
  const { dataDir } = config
  const reserve = await openReserve(join(dataDir, dataFolderLayout.reserve))
  const metadata = await reserve.withSpace(() => openSqliteMetadata(join(dataDir, dataFolderLayout.database), takeFolder && { takeFolder }))
  try {
    return { metadata, blobs: await openBlobs(config, reserve), reserve }
  } catch (error) {
    await metadata.close()
    throw error
  }
}

/** A request to a bucket, with its repetitions, fails sooner than the transfer that waits for it is cut. */
const REQUESTS_IN_IDLE_TIME = 6

async function openBlobs (config: Config, reserve: Pick<Reserve, 'missingBytes'>): Promise<BlobStore> {
  const { storageUrl, blobGraceSeconds, idleSeconds, dataDir, minFreeBytes } = config
  if (storageUrl === undefined) return openDiskBlobs({ folder: dataDir, minFreeBytes: () => Math.max(minFreeBytes, reserve.missingBytes) })
  // Loaded on demand: the AWS SDK takes 0.15 s and 23 MB.
  const { openS3Blobs } = await import('./blobs/s3/s3.ts')
  return openS3Blobs({ url: storageUrl, graceSeconds: blobGraceSeconds, idleMilliseconds: idleSeconds * 1000 / REQUESTS_IN_IDLE_TIME })
}

async function prepareFolders ({ dataDir, storageUrl }: Config): Promise<void> {
  await prepareDataFolder(dataDir)
  if (storageUrl === undefined) await checkBlobFolders(dataDir)
}

async function createRules (config: Config, { metadata, blobs, reserve }: Backends): Promise<Rules> {
  const passwords = await createPasswords(config.passwordPolicy)
  const attemptLimiter = createAttemptLimiter(metadata)
  const accounts = createAccounts({
    metadata,
    reserve,
    passwords,
    attemptLimiter,
    registration: config.registration,
    registrationsPerHour: config.registrationsPerHour
  })
  return {
    passwords,
    attemptLimiter,
    accounts,
    files: createFiles({ metadata, blobs, reserve, limits: config })
  }
}

async function closeAll ({ metadata, blobs }: Backends, { files }: Rules): Promise<void> {
  await files.close()
  await blobs.close()
  await metadata.close()
}
