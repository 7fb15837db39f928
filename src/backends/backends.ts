import { join } from 'node:path'
import type { BlobStore, Reserve } from '../blobs/blob-store.ts'
import { openDiskBlobs } from '../blobs/disk/disk.ts'
import { openReserve } from '../blobs/disk/reserve.ts'
import type { Config } from '../config.ts'
import type { KeyStore, SigningKey } from '../config/signing-keys.ts'
import { checkDataFolder, dataFolderLayout, prepareDataFolder, refuseHalfRestored } from '../data-folder/data-folder.ts'
import { readIfThere, sync, writeDurably } from '../data-folder/durable-files.ts'
import { KeyFile, type KeyFileName } from '../data-folder/key-file.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { PostgresMetadata, PostgresOptions } from '../metadata/postgres/postgres.ts'
import { lockFolder, type FolderLock, withWriteLock } from '../metadata/sqlite/lock.ts'
import type { MigrationOptions } from '../metadata/sqlite/migrations.ts'
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.ts'
import { blobPlaceOf } from './blob-place.ts'
import { requirePair, type StorageRecord } from './pairing.ts'

/** What the settings choose: where the metadata is, and where the bytes. */
export interface Backends {
  readonly metadata: Metadata
  readonly blobs: BlobStore
  readonly reserve: Omit<Reserve, 'withSpace'>
  /** They sign tokens. */
  readonly keys: KeyStore
  /** They seal secrets of second factors; those of the settings, if there are any. */
  readonly sealingKeys: Pick<KeyStore, 'read' | 'find'>
}

type OpenMetadata = Omit<Backends, 'blobs'> & KeySources & { readonly storage: StorageRecord }

/** Both rings beside the database. */
type KeySources = Readonly<Record<'keys' | 'sealingKeys', KeyStore>>

type Place = Pick<Config, 'dataDir' | 'databaseUrl' | 'storageUrl'>

/** Whether a part of the store is in DATA_DIR, which then serves one process only. */
export function usesDataFolder ({ databaseUrl, storageUrl }: Place): boolean {
  return databaseUrl === undefined || storageUrl === undefined
}

/** Creates and checks the data folder, if there is one. @throws {ConfigError}, also after an interrupted restore. */
export async function prepareFolder (config: Place): Promise<void> {
  if (usesDataFolder(config)) await refuseHalfRestored(config.dataDir)
  await makeFolderReady(config)
}

/** The same for a restore, which can continue one that was interrupted. */
export async function makeFolderReady (config: Place): Promise<void> {
  if (usesDataFolder(config)) await prepareDataFolder(config.dataDir, useOf(config))
}

/** Checks the data folder, if there is one, without changing it. @throws {ConfigError} as `prepareFolder`. */
export async function checkFolder (config: Place): Promise<void> {
  if (!usesDataFolder(config)) return
  await refuseHalfRestored(config.dataDir)
  await checkDataFolder(config.dataDir, useOf(config))
}

function useOf ({ databaseUrl, storageUrl }: Place): { hasDatabase: boolean, hasBlobs: boolean } {
  return { hasDatabase: databaseUrl === undefined, hasBlobs: storageUrl === undefined }
}

/** Locks the data folder, if there is one, for this process. @throws {FolderInUseError} with the text `inUse`. */
export function lockDataFolder (config: Place, options?: { inUse: string }): FolderLock {
  return usesDataFolder(config) ? lockFolder(join(config.dataDir, dataFolderLayout.lock), options) : { close: () => {} }
}

/** How a database is opened: what happens around its upgrade, and its clock. */
export type OpenOptions = Pick<MigrationOptions, 'takeFolder' | 'onUpgrade'> & Pick<PostgresOptions, 'clock'>

/** Opens what the settings choose, after upgrading the database if that is needed. */
export async function openBackends (config: Config, options: OpenOptions): Promise<Backends> {
  const opened = config.databaseUrl === undefined
    ? await openSqlite(config, options)
    : await openSharedMetadata(config.databaseUrl, {
      retentionPolicy: config.keeping, onUpgrade: options.onUpgrade, clock: options.clock
    })
  try {
    const blobs = await openBlobs(config, opened.reserve)
    try {
      // A database and blobs in one folder can't be confused.
      if (config.databaseUrl !== undefined || config.storageUrl !== undefined) {
        await requirePair(blobPlaceOf(config), { ...opened, blobs })
      }
    } catch (error) {
      await blobs.close()
      throw error
    }
    const { sealingKeys: beside } = opened
    return { ...opened, ...(config.sealingKeys && { sealingKeys: keysBefore(beside, config.sealingKeys) }), blobs }
  } catch (error) {
    await opened.metadata.close()
    throw error
  }
}

async function openSqlite ({ dataDir, keeping }: Config, options: OpenOptions): Promise<OpenMetadata> {
  const reserve = await openReserve(join(dataDir, dataFolderLayout.reserve))
  const { withSpace } = reserve
  const file = join(dataDir, dataFolderLayout.database)
  const metadata = await withSpace(() => openSqliteMetadata(file, { retentionPolicy: keeping, withSpace, ...options }))
  return { metadata, reserve, ...keysIn(dataDir), storage: storageRecordIn(dataDir) }
}

/** The keys of the environment, and then those beside the database: they sealed secrets before the setting was made. */
function keysBefore (beside: KeyStore, keys: readonly SigningKey[]): Pick<KeyStore, 'read' | 'find'> {
  return { read: async () => keys, find: async () => [...keys, ...await beside.find().catch(() => undefined) ?? []] }
}

function keysIn (dataDir: string): KeySources {
  const database = join(dataDir, dataFolderLayout.database)
  const sourceOf = (name: KeyFileName): KeyStore => {
    const file = new KeyFile(dataDir, name)
    return {
      read: () => file.read(),
      find: () => file.find(),
      change: change => withWriteLock(database, async () => file.replace(change(await file.read())))
    }
  }
  return { keys: sourceOf(dataFolderLayout.signingKeys), sealingKeys: sourceOf(dataFolderLayout.sealingKeys) }
}

/** Only one server uses a data folder with a database, so no other process records an id. */
export function storageRecordIn (dataDir: string): StorageRecord {
  const file = join(dataDir, dataFolderLayout.storageId)
  return {
    find: async () => (await readIfThere(file))?.toString(),
    async record (id) {
      await writeDurably(file, [Buffer.from(id)])
      await sync(dataDir)
      return id
    }
  }
}

/** The disk of the database is not known to this process. */
const noReserve = { missingBytes: 0, restore: async () => {} }

async function openSharedMetadata (url: string, options: Omit<PostgresOptions, 'url'>): Promise<OpenMetadata> {
  const metadata = await openPostgres(url, options)
  return { metadata, reserve: noReserve, ...keysOf(metadata), storage: storageRecordOf(metadata) }
}

function keysOf ({ signingKeys, sealingKeys }: PostgresMetadata): KeySources {
  // Signing keys that an operator deletes are replaced at once: all access tokens end.
  return { keys: { ...signingKeys, find: signingKeys.read }, sealingKeys }
}

export function storageRecordOf (metadata: PostgresMetadata): StorageRecord {
  return { find: () => metadata.findStorageId(), record: id => metadata.recordStorageId(id) }
}

/** Loaded on demand: the driver takes as long to load as the rest of the server's start. */
export async function openPostgres (url: string, options?: Omit<PostgresOptions, 'url'>): Promise<PostgresMetadata> {
  const { openPostgresMetadata } = await import('../metadata/postgres/postgres.ts')
  return openPostgresMetadata({ url, ...options })
}

/** Opens the keys beside the database for a command, which needs no files. */
export async function openKeySources ({
  dataDir, databaseUrl
}: Place): Promise<KeySources & { close (): Promise<void> }> {
  if (databaseUrl === undefined) return { ...keysIn(dataDir), close: async () => {} }
  const metadata = await openPostgres(databaseUrl)
  return { ...keysOf(metadata), close: () => metadata.close() }
}

/** A request to a bucket, with its repetitions, fails sooner than the transfer that waits for it is cut. */
const REQUESTS_IN_IDLE_TIME = 6

/** Of `MAX_MEMORY_BYTES`: the rest is for downloads, requests, and memory that waits to be collected. */
const PART_MEMORY_SHARE = 1 / 4

/** A few parts, however small the limit is. */
const MIN_PART_MEMORY_BYTES = 32 * 1024 ** 2

/** If there is no limit. */
const DEFAULT_PART_MEMORY_BYTES = 384 * 1024 ** 2

export async function openBlobs (config: Config, reserve: Pick<Reserve, 'missingBytes'>): Promise<BlobStore> {
  const { storageUrl, blobGraceSeconds, idleSeconds, dataDir, minFreeBytes, maxMemoryBytes } = config
  if (storageUrl === undefined) {
    return openDiskBlobs({ folder: dataDir, minFreeBytes: () => Math.max(minFreeBytes, reserve.missingBytes) })
  }
  // Loaded on demand: the AWS SDK takes 0.15 s and 23 MB.
  const { openS3Blobs } = await import('../blobs/s3/s3.ts')
  return openS3Blobs({
    url: storageUrl,
    graceSeconds: blobGraceSeconds,
    idleMilliseconds: Math.ceil(idleSeconds * 1000 / REQUESTS_IN_IDLE_TIME),
    partMemoryBytes: maxMemoryBytes === 0
      ? DEFAULT_PART_MEMORY_BYTES
      : Math.max(MIN_PART_MEMORY_BYTES, Math.floor(maxMemoryBytes * PART_MEMORY_SHARE))
  })
}
