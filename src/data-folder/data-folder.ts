import { randomUUID } from 'node:crypto'
import { access, chmod, opendir, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
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

/** What of a store is in its data folder; the rest is in a database server or in a bucket. */
interface FolderUse { readonly hasDatabase: boolean, readonly hasBlobs: boolean }

/**
 * Creates the folder if it is missing, and makes it inaccessible to other users of the machine.
 * @throws {ConfigError} as `checkDataFolder`; the folder is then unchanged.
 */
export async function prepareDataFolder (folder: string, use: FolderUse): Promise<void> {
  await checkDataFolder(folder, use)
  await makeDataFolder(folder)
  await chmod(folder, 0o700).catch(failAsFolder(folder))
}

/**
 * Checks a folder, which need not exist, without changing it.
 * @throws {ConfigError} if the folder has only files of other programs, a database or blobs that would not be used, or
 * blobs without a database, or if it is on two file systems.
 */
export async function checkDataFolder (folder: string, use: FolderUse): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') failAsFolder(folder)(error)
    return undefined
  })
  if (names === undefined) return
  if (isForeign(names)) throw new ConfigError(`DATA_DIR: ${folder} contains files that are not MagicStore's`, { remedy: 'set DATA_DIR to an empty or new folder' })
  if (!use.hasDatabase && await hasDatabase(folder)) {
    throw new ConfigError(`DATA_DIR: ${folder} has a database of its own`, { remedy: 'with DATABASE_URL set DATA_DIR to another folder, into which you can restore a backup of this one' })
  }
  if (!use.hasBlobs && await hasBlobs(folder)) {
    throw new ConfigError(`DATA_DIR: ${folder} has files of its own`, { remedy: 'with STORAGE_URL set DATA_DIR to another folder, into which you can restore a backup of this one' })
  }
  if (use.hasDatabase && use.hasBlobs && await hasLostDatabase(folder)) {
    // A new database would make every blob an orphan.
    throw new ConfigError(`DATA_DIR: ${folder} contains files, but no database`, { remedy: 'restore a backup into another folder, or move blobs and incoming away to begin without those files' })
  }
  if (use.hasBlobs && await isOnTwoFileSystems(folder)) {
    throw new ConfigError('DATA_DIR: incoming and blobs in it are on two file systems, so files can\'t be moved between them', { remedy: 'mount the disk at DATA_DIR itself' })
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
export const FOLDER_REMEDY = 'run as the user that owns DATA_DIR, or set DATA_DIR to a folder that this user can create or write to'

const failAsFolder = (folder: string) => (cause: Error): never => {
  throw new ConfigError(`DATA_DIR: ${folder} can't be used as a folder: ${cause.message}`, { remedy: FOLDER_REMEDY, cause })
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

/** @throws {ConfigError} if the folder has no database, or only a part of a backup, or as `checkDataFolder`. */
export async function requireDatabase (folder: string): Promise<void> {
  if (await hasDatabase(folder)) return
  await refuseHalfRestored(folder)
  await checkDataFolder(folder, { hasDatabase: true, hasBlobs: true })
  throw new ConfigError(`DATA_DIR: there is no database in ${folder}`, { remedy: 'set DATA_DIR to the folder of the server' })
}

/** How to go on after a restore that was interrupted. */
export const CUT_RESTORE_REMEDY = 'run magicstore restore FOLDER again to continue it, or magicstore restore FOLDER --discard to begin anew'

/** @throws {ConfigError} after an interrupted restore. */
export async function refuseHalfRestored (folder: string): Promise<void> {
  if (await isThere(join(folder, dataFolderLayout.restoring)) && !await hasDatabase(folder)) {
    throw new ConfigError(`DATA_DIR: ${folder} has a part of a backup only: a restore was interrupted`, { remedy: CUT_RESTORE_REMEDY })
  }
}

/** Whether a file or folder exists at `path`. */
export async function isThere (path: string): Promise<boolean> {
  return access(path).then(() => true, () => false)
}
