import { join } from 'node:path'
import { createAccounts, type Accounts } from './accounts/accounts.ts'
import { createAttemptLimiter, type AttemptLimiter } from './accounts/attempt-limiter.ts'
import { createPasswords, type Passwords } from './accounts/password.ts'
import type { BackupSource } from './backup/backup.ts'
import type { RestoreTools } from './backup/restore.ts'
import type { BlobStore, Reserve } from './blobs/blob-store.ts'
import { dataFolderLayout, prepareDataFolder, readSigningKeys } from './blobs/disk/data-folder.ts'
import { openDiskBlobs } from './blobs/disk/disk.ts'
import { openReserve } from './blobs/disk/reserve.ts'
import type { Config } from './config.ts'
import type { DatabaseTools } from './doctor/database.ts'
import { createFiles, type Files } from './files/files.ts'
import type { Metadata } from './metadata/metadata.ts'
import { checkDatabaseIntegrity, findReadableDatabase, isBesideDatabase } from './metadata/sqlite/integrity-check.ts'
import { lockFolder, type FolderLock } from './metadata/sqlite/lock.ts'
import { takeRetentionLock } from './metadata/sqlite/retention-lock.ts'
import { openSnapshot, takeSnapshot } from './metadata/sqlite/snapshot.ts'
import { openSqliteMetadata } from './metadata/sqlite/sqlite.ts'
import type { SigningKey } from './tokens/signing-keys.ts'

interface Backends { readonly metadata: Metadata, readonly blobs: BlobStore, readonly reserve: Reserve }

interface Rules { readonly passwords: Passwords, readonly attemptLimiter: AttemptLimiter, readonly accounts: Accounts, readonly files: Files }

/** What an operator's command works on, beside a running server or without one. */
export interface OperatorStore extends Backends, Rules {
  /** Ends what is under way. */
  close (): Promise<void>
}

/** The store without its HTTP face: rules over the backends that the settings choose. */
export interface Store extends OperatorStore {
  readonly config: Config
  readonly signingKeys: SigningKey[]
}

/**
 * Opens a data folder that a server may be serving, or makes one: recovers nothing, and takes the lock only while the
 * database is brought up to date.
 * @throws {FolderInUseError} where that is needed beside a server, which is then an older one.
 */
export async function openOperatorStore (config: Config): Promise<OperatorStore> {
  await prepareDataFolder(config.dataDir)
  const backends = await openBackends(config, () => lockFolder(join(config.dataDir, dataFolderLayout.lock), { inUse: 'an older MagicStore serves this data folder; start the server again first, so that it brings the database up to date' }))
  const rules = await createRules(config, backends)
  return { ...backends, ...rules, close: () => closeAll(backends, rules) }
}

/**
 * Opens the data folder for this process alone, and ends what was in flight when the last one died.
 * @throws {FolderInUseError} where another process serves it, {NewerDatabaseError} where a newer version made it.
 */
export async function openStore (config: Config): Promise<Store> {
  await prepareDataFolder(config.dataDir)
  const lock = lockFolder(join(config.dataDir, dataFolderLayout.lock))
  try {
    const signingKeys = config.signingKeys ?? await readSigningKeys(config.dataDir)
    const backends = await openBackends(config)
    const rules = await createRules(config, backends)
    await rules.files.recover()
    const housekeeping = startHousekeeping({ ...backends, sweep: rules.files.sweep })
    return {
      ...backends,
      ...rules,
      config,
      signingKeys,
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

/** Opens a data folder for a backup, beside a running server or without one: what is in it is only read, and its blobs are held. @throws {FolderInUseError} beside another backup. */
export async function openBackupSource (config: Config): Promise<BackupSource> {
  const { dataDir } = config
  const file = join(dataDir, dataFolderLayout.database)
  const hold = takeRetentionLock(file)
  try {
    const facts = openSnapshot(file)
    facts.close()
    const blobs = await openBlobs(config, { missingBytes: 0 })
    return {
      installationId: facts.installationId,
      dataDir,
      blobs,
      takeSnapshot: copy => takeSnapshot(file, copy),
      async close () {
        await blobs.close()
        hold.close()
      }
    }
  } catch (error) {
    hold.close()
    throw error
  }
}

/** Takes a folder of backups for one process. @throws {FolderInUseError}. */
export function lockBackupFolder (file: string): FolderLock {
  return lockFolder(file, { inUse: 'another backup is being made in this folder' })
}

/** What a backup is restored with. */
export const restoreTools: RestoreTools = { openSnapshot, lockFolder }

/** What a doctor looks with. */
export const doctorTools: DatabaseTools = { isBesideDatabase, findReadableDatabase, checkDatabaseIntegrity }

async function openBackends (config: Config, takeFolder?: () => FolderLock): Promise<Backends> {
  const { dataDir } = config
  const reserve = await openReserve(join(dataDir, dataFolderLayout.reserve))
  const metadata = await reserve.lend(() => openSqliteMetadata(join(dataDir, dataFolderLayout.database), takeFolder && { takeFolder }))
  const blobs = await openBlobs(config, reserve)
  return { metadata, blobs, reserve }
}

function openBlobs ({ dataDir, minFreeBytes }: Config, reserve: Pick<Reserve, 'missingBytes'>): Promise<BlobStore> {
  return openDiskBlobs({ folder: dataDir, minFreeBytes: () => Math.max(minFreeBytes, reserve.missingBytes) })
}

async function createRules (config: Config, { metadata, blobs, reserve }: Backends): Promise<Rules> {
  const passwords = await createPasswords(config.passwordPolicy)
  const attemptLimiter = createAttemptLimiter(metadata)
  const accounts = createAccounts({ metadata, reserve, passwords, attemptLimiter, registration: config.registration, registrationsPerHour: config.registrationsPerHour })
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

const INTERVAL_MILLISECONDS = 60_000

/**
 * An expired token stays so long. Of an access token the signed text itself tells that it expired, rounded up to the second;
 * a personal one is known by its row alone, and for a day whoever presents it is told.
 */
const TOKEN_MEMORY_MILLISECONDS = { access: 60_000, personal: 24 * 3600 * 1000 } as const

/** Longer than any rule counts attempts for. */
const ATTEMPT_MEMORY_MILLISECONDS = 2 * 3600 * 1000

/** Rows that one commit forgets: it takes a few milliseconds. */
const BATCH = 500

export interface Housekeeping { stop (): void }

interface HousekeepingOptions {
  metadata: Metadata
  reserve: Reserve
  /** Removes the bytes that nobody owns any more: what a backup held, or the disk did not give up. */
  sweep: () => void
}

/** Forgets, a little at a time, what time has made useless, and makes the reserve again when there is room. */
export function startHousekeeping ({ metadata, reserve, sweep }: HousekeepingOptions): Housekeeping {
  async function tidy (): Promise<void> {
    const now = Date.now()
    sweep()
    for (const kind of ['access', 'personal'] as const) {
      while (await metadata.removeExpiredTokens({ kind, before: now - TOKEN_MEMORY_MILLISECONDS[kind] }, BATCH));
    }
    while (await metadata.removeAttempts({ since: now - ATTEMPT_MEMORY_MILLISECONDS, until: now, limit: BATCH }));
    await reserve.restore()
  }
  // What fails now, on a full disk, is done a minute later.
  const timer = setInterval(() => { tidy().catch(() => {}) }, INTERVAL_MILLISECONDS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
