import { randomUUID } from 'node:crypto'
import { access, chmod, opendir, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { ConfigError } from '../problems.ts'
import { makeFolder } from './durable-files.ts'

/** Files and folders in DATA_DIR. SQLite adds files next to the database, with longer names. */
export const dataFolderLayout = {
  database: 'magicstore.db',
  blobs: 'blobs',
  /** Pending blobs. */
  incoming: 'incoming',
  /** Blobs without a file that fsck moved here. */
  quarantine: 'quarantine',
  /** Written and removed to check that the disk can be written to. One left by a crash is overwritten. */
  probe: 'probe',
  lock: 'lock.db',
  reserve: 'reserve',
  /** Exists while a backup is restored. */
  restoring: 'restoring',
  signingKeys: 'signing-keys',
  /** Keys that seal secrets of second factors. */
  sealingKeys: 'sealing-keys',
  /** The marks of the databases on other machines that the blobs belong to. */
  installations: 'installations',
  /** The id of the bucket that the database belongs to. */
  storageId: 'storage-id'
} as const

/** Path of a committed blob in the data folder, and in a backup. */
export function blobPath (id: string): string {
  return join(dataFolderLayout.blobs, id.slice(0, 2), id)
}

/** The settings that say what of a store is in its data folder; the rest is in a database server or in a bucket. */
export type StoreSettings = Pick<Config, 'dataDir' | 'databaseUrl' | 'storageUrl'>

/** Whether a part of the store is in DATA_DIR, which then serves one process only. */
export function usesDataFolder ({ databaseUrl, storageUrl }: StoreSettings): boolean {
  return databaseUrl === undefined || storageUrl === undefined
}

/** Whether the whole store is in DATA_DIR. */
export function isDataFolderAlone ({ databaseUrl, storageUrl }: StoreSettings): boolean {
  return databaseUrl === undefined && storageUrl === undefined
}

/**
 * Creates the data folder, if one is used and it is missing, and makes it inaccessible to other users of the machine.
 * @throws {ConfigError} as `requireUsableFolder`; the folder is then unchanged.
 */
export async function prepareFolder (config: StoreSettings): Promise<void> {
  if (usesDataFolder(config)) await refuseHalfRestored(config.dataDir)
  await prepareForRestore(config)
}

/** The same for a restore, which can continue one that was interrupted. */
export async function prepareForRestore (config: StoreSettings): Promise<void> {
  const { dataDir } = config
  if (!usesDataFolder(config)) return
  await checkDataFolder(config)
  await makeDataFolder(dataDir)
  await chmod(dataDir, 0o700).catch(failAsFolder(dataDir))
}

/**
 * Checks the data folder, if one is used, without changing it.
 * @throws {ConfigError} after an interrupted restore, if the folder has only files of other programs, a database or
 * blobs that would not be used, or blobs without a database, or if it is on two file systems.
 */
export async function requireUsableFolder (config: StoreSettings): Promise<void> {
  if (!usesDataFolder(config)) return
  await refuseHalfRestored(config.dataDir)
  await checkDataFolder(config)
}

/** A folder need not exist. */
async function checkDataFolder ({ dataDir, databaseUrl, storageUrl }: StoreSettings): Promise<void> {
  const names = await readdir(dataDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') failAsFolder(dataDir)(error)
  })
  if (names === undefined) return
  const refuse = (reason: string, remedy: string): never => {
    throw new ConfigError(`DATA_DIR: ${reason}`, { remedy })
  }
  if (isForeign(names)) {
    refuse(`${dataDir} contains files that are not MagicStore's`, 'set DATA_DIR to an empty or new folder')
  }
  const another = 'set DATA_DIR to another folder, into which you can restore a backup of this one'
  if (databaseUrl !== undefined && await hasDatabase(dataDir)) {
    refuse(`${dataDir} has a database of its own`, `with DATABASE_URL ${another}`)
  }
  if (storageUrl !== undefined) {
    if (await hasBlobs(dataDir)) refuse(`${dataDir} has files of its own`, `with STORAGE_URL ${another}`)
    return
  }
  if (databaseUrl === undefined && await hasLostDatabase(dataDir)) {
    // A new database would make every blob an orphan.
    refuse(
      `${dataDir} contains files, but no database`,
      'restore a backup into another folder, or move blobs and incoming away to begin without those files'
    )
  }
  if (await isOnTwoFileSystems(dataDir)) {
    refuse(
      'incoming and blobs in it are on two file systems, so files can\'t be moved between them',
      'mount the disk at DATA_DIR itself'
    )
  }
}

/** Whether a folder with these entries is of other programs: it is not empty, and nothing in it is MagicStore's. */
export function isForeign (names: readonly string[]): boolean {
  const own = Object.values<string>(dataFolderLayout)
  // A write that was cut leaves a name with this ending.
  const isOwn = (name: string) => own.includes(name.replace(/\.new$/, '')) || name.startsWith(dataFolderLayout.database)
  return names.some(name => name !== LOST_AND_FOUND) && !names.some(isOwn)
}

/**
 * Creates the folder if it is missing, and returns whether it was.
 * @throws {ConfigError} if it can't be created, or is something else.
 */
export async function makeDataFolder (folder: string): Promise<boolean> {
  return makeFolder(folder).catch(failAsFolder(folder))
}

/** What to do if DATA_DIR can't be made, or this user has no access to it. */
export const FOLDER_REMEDY =
  'run as the user that owns DATA_DIR, or set DATA_DIR to a folder that this user can create or write to'

const failAsFolder = (folder: string) => (cause: Error): never => {
  const reason = `DATA_DIR: ${folder} can't be used as a folder: ${cause.message}`
  throw new ConfigError(reason, { remedy: FOLDER_REMEDY, cause })
}

/** Whether the folder has blobs but no database. */
async function hasLostDatabase (folder: string): Promise<boolean> {
  const { size } = await stat(join(folder, dataFolderLayout.database)).catch(() => ({ size: 0 }))
  return size === 0 && await hasBlobs(folder)
}

async function hasBlobs (folder: string): Promise<boolean> {
  return await holdsFiles(join(folder, dataFolderLayout.blobs)) ||
    await holdsFiles(join(folder, dataFolderLayout.incoming))
}

async function holdsFiles (folder: string): Promise<boolean> {
  const entries = await opendir(folder, { recursive: true }).catch(() => [])
  for await (const entry of entries) if (entry.isFile()) return true
  return false
}

/**
 * Whether a blob can't be moved from `incoming` to `blobs` by a rename. Folders that do not exist yet are created in
 * DATA_DIR itself.
 */
async function isOnTwoFileSystems (folder: string): Promise<boolean> {
  const parts = [dataFolderLayout.incoming, dataFolderLayout.blobs].map(name => join(folder, name))
  const [from = '', to = ''] = await Promise.all(parts.map(async part => await isThere(part) ? part : folder))
  if (await deviceOf(from) !== await deviceOf(to)) return true
  // A file system that is mounted twice allows no rename from one mount to the other either. EXDEV is checked before
  // the missing name.
  const name = randomUUID()
  return await rename(join(from, name), join(to, name)).catch((error: NodeJS.ErrnoException) => error.code) === 'EXDEV'
}

/** The device number of the file system that a path is on. */
export async function deviceOf (path: string): Promise<number> {
  return (await stat(path)).dev
}

/** A folder that a new file system contains. */
export const LOST_AND_FOUND = 'lost+found'

/** Whether the folder has a database. */
export async function hasDatabase (folder: string): Promise<boolean> {
  return isThere(join(folder, dataFolderLayout.database))
}

/** @throws {ConfigError} if DATA_DIR should have a database and has none, or as `requireUsableFolder`. */
export async function requireDatabase (config: StoreSettings): Promise<void> {
  const { dataDir, databaseUrl } = config
  if (databaseUrl !== undefined || await hasDatabase(dataDir)) return
  await requireUsableFolder(config)
  const reason = `DATA_DIR: there is no database in ${dataDir}`
  throw new ConfigError(reason, { remedy: 'set DATA_DIR to the folder of the server' })
}

/** How to go on after a restore that was interrupted. */
export const CUT_RESTORE_REMEDY =
  'run magicstore restore FOLDER again to continue it, or magicstore restore FOLDER --discard to begin anew'

/** @throws {ConfigError} after an interrupted restore. */
export async function refuseHalfRestored (folder: string): Promise<void> {
  if (await isThere(join(folder, dataFolderLayout.restoring)) && !await hasDatabase(folder)) {
    const reason = `DATA_DIR: ${folder} has a part of a backup only: a restore was interrupted`
    throw new ConfigError(reason, { remedy: CUT_RESTORE_REMEDY })
  }
}

/** Whether a file or folder exists at `path`. */
export async function isThere (path: string): Promise<boolean> {
  return access(path).then(() => true, () => false)
}
