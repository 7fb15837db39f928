import { randomUUID } from 'node:crypto'
import { access, chmod, opendir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../problems.ts'
import { createSigningKey, parseSigningKeys, type SigningKey } from '../../tokens/signing-keys.ts'
import { makeFolder, readIfThere, sync, writeDurably } from './durable-files.ts'

/** Where everything lies in DATA_DIR; beside the database are files of SQLite's, with longer names. */
export const dataFolderLayout = {
  database: 'magicstore.db',
  blobs: 'blobs',
  /** Blobs that are pending. */
  incoming: 'incoming',
  /** What fsck found to belong to nobody. */
  quarantine: 'quarantine',
  /** Written and removed to see whether the disk takes bytes; one that a crash leaves behind is written over. */
  probe: 'probe',
  lock: 'lock.db',
  reserve: 'reserve',
  /** There while a backup is restored. */
  restoring: 'restoring',
  signingKeys: 'signing-keys'
} as const

/** Where the bytes of a committed blob lie in the data folder, and in a backup of it. */
export function blobPath (id: string): string {
  return join(dataFolderLayout.blobs, id.slice(0, 2), id)
}

/**
 * Makes the folder if need be and closes it to everybody else on the machine.
 * @throws {ConfigError} where a restore into it was cut off, where bytes are there without their database, or on two file systems.
 */
export async function prepareDataFolder (folder: string): Promise<void> {
  await makeFolder(folder)
  await chmod(folder, 0o700)
  if (await isHalfRestored(folder)) throw new ConfigError(`DATA_DIR: the restore into ${folder} did not come to its end; do it again`)
  if (await hasLostDatabase(folder)) throw new ConfigError(`DATA_DIR: ${folder} holds the bytes of files, and its database is gone; ${LOST_DATABASE_REMEDY}`)
  if (await isOnTwoFileSystems(folder)) throw new ConfigError(`DATA_DIR: ${TWO_FILE_SYSTEMS}; ${TWO_FILE_SYSTEMS_REMEDY}`)
}

/** How to go on without the database. A new one would make garbage of every file. */
export const LOST_DATABASE_REMEDY = 'restore a backup into another folder, or move blobs and incoming away to begin without those files'

/** Whether bytes of files are in the folder, and the database that knows whose they are is not. */
export async function hasLostDatabase (folder: string): Promise<boolean> {
  const { size } = await stat(join(folder, dataFolderLayout.database)).catch(() => ({ size: 0 }))
  return size === 0 && (await holdsFiles(join(folder, dataFolderLayout.blobs)) || await holdsFiles(join(folder, dataFolderLayout.incoming)))
}

async function holdsFiles (folder: string): Promise<boolean> {
  const entries = await opendir(folder, { recursive: true }).catch(() => [])
  for await (const entry of entries) if (entry.isFile()) return true
  return false
}

export const TWO_FILE_SYSTEMS = 'incoming and blobs in DATA_DIR are on two file systems, and no file can be moved from the one to the other'
export const TWO_FILE_SYSTEMS_REMEDY = 'let both be on one: mount the disk at DATA_DIR itself'

/** Whether a stored file can't be moved to its place in one step. What is not there yet is made in the folder itself. */
export async function isOnTwoFileSystems (folder: string): Promise<boolean> {
  const parts = [dataFolderLayout.incoming, dataFolderLayout.blobs].map(name => join(folder, name))
  const [from = '', to = ''] = await Promise.all(parts.map(async part => await isThere(part) ? part : folder))
  if (await deviceOf(from) !== await deviceOf(to)) return true
  // Mounted twice, one file system takes no move from mount to mount either; that is told before the name, which nothing has.
  const name = randomUUID()
  return await rename(join(from, name), join(to, name)).catch((error: NodeJS.ErrnoException) => error.code) === 'EXDEV'
}

/** The file system that a path is on, as a number that no other one mounted now has. */
export async function deviceOf (path: string): Promise<number> {
  return (await stat(path)).dev
}

/** What a fresh disk comes with. */
export const LOST_AND_FOUND = 'lost+found'

/** Whether there is a database in the folder. */
export async function hasDatabase (folder: string): Promise<boolean> {
  return isThere(join(folder, dataFolderLayout.database))
}

/** @throws {ConfigError} where there is no database in the folder. */
export async function requireDatabase (folder: string): Promise<void> {
  if (!await hasDatabase(folder)) throw new ConfigError(`DATA_DIR: there is no database in ${folder}`)
}

/** Whether a restore into the folder was cut off. */
export async function isHalfRestored (folder: string): Promise<boolean> {
  return await isThere(join(folder, dataFolderLayout.restoring)) && !await hasDatabase(folder)
}

/** Whether there is something at `path`. */
export async function isThere (path: string): Promise<boolean> {
  return access(path).then(() => true, () => false)
}

/** The key ring of the folder, made at the first call: lines of `kid:secret`, the first signs. @throws {ConfigError} naming the line that is no key. */
export async function readSigningKeys (folder: string): Promise<SigningKey[]> {
  const file = join(folder, dataFolderLayout.signingKeys)
  const bytes = await readIfThere(file)
  if (bytes === undefined) return writeSigningKeys(folder, [createSigningKey()])
  await chmod(file, 0o600)
  const items = bytes.toString().split('\n').map((text, index) => ({ text, place: `${file}, line ${index + 1}` })).filter(({ text }) => text !== '')
  if (items.length === 0) throw new ConfigError(`${file}: there is no key in it; restore it from a backup, or remove it: the next start makes a new key, and every access token ends`)
  return parseSigningKeys(items)
}

/** Puts a key ring in place of the present one, whole or not at all. */
export async function writeSigningKeys (folder: string, keys: SigningKey[]): Promise<SigningKey[]> {
  const text = keys.map(key => `${key.kid}:${key.secret}\n`).join('')
  await writeDurably(join(folder, dataFolderLayout.signingKeys), [Buffer.from(text)])
  await sync(folder)
  return keys
}
