import { join } from 'node:path'
import type { BlobStore } from '../blobs/blob-store.ts'
import { openDiskBlobs } from '../blobs/disk/disk.ts'
import { openReserve, type Reserve } from '../blobs/disk/free-space.ts'
import type { Config } from '../config.ts'
import type { KeyStore, SigningKey } from '../config/signing-keys.ts'
import { dataFolderLayout, isDataFolderAlone, type StoreSettings, usesDataFolder } from '../data-folder/data-folder.ts'
import { readIfThere, sync, writeDurably } from '../data-folder/durable-files.ts'
import { createKeyReader, findKeys, type KeyFileName, replaceKeys } from '../data-folder/key-file.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { OpenReport, PostgresMetadata, PostgresOptions } from '../metadata/postgres/postgres.ts'
import { isLocked, lockFolder, type FolderLock, withWriteLock } from '../metadata/sqlite/lock.ts'
import type { MigrationOptions } from '../metadata/sqlite/migrations.ts'
import { openSnapshot } from '../metadata/sqlite/snapshot.ts'
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.ts'
import { requirePair, type StorageIdRecord } from './pairing.ts'

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

type OpenMetadata = Omit<Backends, 'blobs'> & KeySources & { readonly storage: StorageIdRecord }

/** Both rings beside the database. */
type KeySources = Readonly<Record<'keys' | 'sealingKeys', KeyStore>>

/** Locks the data folder, if there is one, for this process. @throws {FolderInUseError} with the text `inUse`. */
export function lockDataFolder (config: StoreSettings, options?: { inUse: string }): FolderLock {
  return usesDataFolder(config) ? lockFolder(join(config.dataDir, dataFolderLayout.lock), options) : { close: () => {} }
}

/** Whether a process has locked the data folder. */
export function isFolderInUse (config: StoreSettings): boolean {
  return usesDataFolder(config) && isLocked(join(config.dataDir, dataFolderLayout.lock))
}

/** How a database is opened: what happens around its upgrade, and its clock. */
export type OpenOptions = Pick<MigrationOptions, 'takeFolder' | 'onUpgrade'> & Pick<PostgresOptions, 'clock'>

/** Opens what the settings choose, after upgrading the database if that is needed. */
export async function openBackends (config: Config, options: OpenOptions): Promise<Backends> {
  const { databaseUrl, sealingKeys: keys } = config
  const opened = databaseUrl === undefined
    ? await openSqlite(config, options)
    : await openSharedMetadata(config, databaseUrl, options)
  const { metadata, storage, sealingKeys: beside } = opened
  try {
    const blobs = await openBlobs(config, opened.reserve)
    try {
      // A database and blobs in one folder can't be confused.
      if (!isDataFolderAlone(config)) await requirePair(config, { ...metadata, ...storage }, blobs)
    } catch (error) {
      await blobs.close()
      throw error
    }
    return { ...opened, ...(keys && { sealingKeys: keysBefore(beside, keys) }), blobs }
  } catch (error) {
    await metadata.close()
    throw error
  }
}

async function openSqlite ({ dataDir, retentionPolicy }: Config, options: OpenOptions): Promise<OpenMetadata> {
  const reserve = await openReserve(join(dataDir, dataFolderLayout.reserve))
  const { withSpace } = reserve
  const file = join(dataDir, dataFolderLayout.database)
  const metadata = await withSpace(() => openSqliteMetadata(file, { retentionPolicy, withSpace, ...options }))
  return { metadata, reserve, ...keysIn(dataDir), storage: storageRecordIn(dataDir) }
}

/** The keys of the environment, and then those beside the database: they sealed secrets before the setting was made. */
function keysBefore (beside: KeyStore, keys: readonly SigningKey[]): Pick<KeyStore, 'read' | 'find'> {
  return { read: async () => keys, find: async () => [...keys, ...await beside.find().catch(() => undefined) ?? []] }
}

function keysIn (dataDir: string): KeySources {
  const database = join(dataDir, dataFolderLayout.database)
  const storeOf = (name: KeyFileName): KeyStore => {
    const read = createKeyReader(dataDir, name)
    return {
      read,
      find: () => findKeys(dataDir, name),
      change: change => withWriteLock(database, async () => replaceKeys(dataDir, name, change(await read())))
    }
  }
  return { keys: storeOf(dataFolderLayout.signingKeys), sealingKeys: storeOf(dataFolderLayout.sealingKeys) }
}

/** Only one server uses a data folder with a database, so no other process records an id. */
export function storageRecordIn (dataDir: string): StorageIdRecord {
  const file = join(dataDir, dataFolderLayout.storageId)
  return {
    findStorageId: async () => (await readIfThere(file))?.toString(),
    async recordStorageId (id) {
      await writeDurably(file, [Buffer.from(id)])
      await sync(dataDir)
      return id
    }
  }
}

/** For a disk that this process does not know, or does not write to. */
const noReserve = { missingBytes: 0, restore: async () => {} }

async function openSharedMetadata (
  { retentionPolicy }: Config, url: string, { onUpgrade, clock }: OpenOptions
): Promise<OpenMetadata> {
  const metadata = await openPostgres(url, { retentionPolicy, onUpgrade, clock })
  return { metadata, reserve: noReserve, ...keysOf(metadata), storage: metadata }
}

function keysOf ({ signingKeys, sealingKeys }: PostgresMetadata): KeySources {
  // Signing keys that an operator deletes are replaced at once: all access tokens end.
  return { keys: { ...signingKeys, find: signingKeys.read }, sealingKeys }
}

/** Loaded on demand: the driver takes as long to load as the rest of the server's start. */
export async function openPostgres (url: string, options?: Omit<PostgresOptions, 'url'>): Promise<PostgresMetadata> {
  const { openPostgresMetadata } = await import('../metadata/postgres/postgres.ts')
  return openPostgresMetadata({ url, ...options })
}

/** Opens a database without changing it. @throws {OperatorError} as `openPostgres`. */
export async function inspectPostgres (url: string): Promise<OpenReport> {
  const { inspectPostgres } = await import('../metadata/postgres/postgres.ts')
  return inspectPostgres(url)
}

/** Opens the metadata to record what a command did; undefined if that would upgrade the database. */
export async function openMetadataToRecord ({ dataDir, databaseUrl }: StoreSettings): Promise<Metadata | undefined> {
  if (databaseUrl !== undefined) return openPostgres(databaseUrl)
  const file = join(dataDir, dataFolderLayout.database)
  const snapshot = openSnapshot(file)
  snapshot.close()
  return snapshot.isOutdated ? undefined : openSqliteMetadata(file)
}

/** Runs `use` with the keys beside the database, for a command that needs no files. */
export async function withKeys<T> (
  { dataDir, databaseUrl }: StoreSettings, use: (keys: KeySources) => Promise<T>
): Promise<T> {
  if (databaseUrl === undefined) return use(keysIn(dataDir))
  const metadata = await openPostgres(databaseUrl)
  return use(keysOf(metadata)).finally(() => metadata.close())
}

/** A request to a bucket, with its repetitions, fails sooner than the transfer that waits for it is cut. */
const REQUESTS_IN_IDLE_TIME = 6

/** Of `MAX_MEMORY_BYTES`: the rest is for downloads, requests, and memory that waits to be collected. */
const PART_MEMORY_SHARE = 1 / 4

/** A few parts, however small the limit is. */
const MIN_PART_MEMORY_BYTES = 32 * 1024 ** 2

/** If there is no limit. */
const DEFAULT_PART_MEMORY_BYTES = 384 * 1024 ** 2

/** With a `reserve`, uploads leave space for it. */
export async function openBlobs (
  config: Config, reserve: Pick<Reserve, 'missingBytes'> = noReserve
): Promise<BlobStore> {
  const { storageUrl, blobGraceSeconds, idleSeconds, dataDir, minFreeBytes, maxMemoryBytes } = config
  if (storageUrl === undefined) {
    return openDiskBlobs({ folder: dataDir, minFreeBytes, reserve })
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
