import { createReadStream } from 'node:fs'
import { chmod, link, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dataFolderLayout, LOST_AND_FOUND } from '../blobs/disk/data-folder.ts'
import { contentOf, makeFolder, READ_BYTES, sync, writeDurably } from '../blobs/disk/durable-files.ts'
import type { Snapshot } from '../metadata/snapshot.ts'
import type { OnProgress } from './backup.ts'
import { BackupError, type BackupFacts, inParallel, readSums, type Sum } from './manifest.ts'

/** Files that are taken in hand before one is waited for; the list of a million of them is not. */
const BATCH = 256

/** Puts the file `from` at `to`, having read every byte of it. @throws {BackupError} where it is not what the digest says. */
type Place = (from: string, to: string, sha256: string) => Promise<void>

/** What restoring needs of the backends. */
export interface RestoreTools {
  /** Opens a copy of the facts. @throws where a newer version made it. */
  openSnapshot (file: string): Snapshot
  /** Takes the data folder, so that no server starts on it meanwhile. */
  lockFolder (file: string): { close (): void }
}

interface FillOptions {
  readonly folder: string
  readonly backup: BackupFacts
  readonly target: string
  readonly place: Place
  readonly openSnapshot: RestoreTools['openSnapshot']
  readonly onProgress: OnProgress
}

/**
 * Restores a backup into a data folder that is empty or new, whole or not at all: everything is read, held against the
 * digests and put on stable storage aside, and moved to its place in the end, the database last. The files are copies, so
 * that nothing that is done to the folder ever reaches the backup. One that was cut off is begun anew.
 * @throws {BackupError} where the backup is damaged or the folder is not empty; the folder is then as it was.
 */
export async function restoreBackup ({ target, tools, ...options }: Omit<FillOptions, 'place' | 'openSnapshot'> & { tools: RestoreTools }): Promise<void> {
  const isNew = await makeFolder(target)
  await refuseUsed(target)
  await chmod(target, 0o700)
  const lock = tools.lockFolder(join(target, dataFolderLayout.lock))
  const aside = join(target, dataFolderLayout.restoring)
  try {
    await clear(target)
    await fillDataFolder({ ...options, target: aside, place: copyVerified, openSnapshot: tools.openSnapshot })
    await moveIn(aside, target)
  } catch (error) {
    await clear(target)
    await rm(join(target, dataFolderLayout.lock), { force: true })
    if (isNew) await rmdir(target)
    throw error
  } finally {
    lock.close()
  }
}

/** What a restore that was cut off may have left; a database is not among it, for with that it has come to its end. */
const leftovers: string[] = [dataFolderLayout.restoring, dataFolderLayout.blobs, dataFolderLayout.signingKeys]

async function refuseUsed (target: string): Promise<void> {
  const names = (await readdir(target)).filter(name => name !== LOST_AND_FOUND && name !== dataFolderLayout.lock)
  const isCutOff = names.includes(dataFolderLayout.restoring) && names.every(name => leftovers.includes(name))
  if (names.length > 0 && !isCutOff) throw new BackupError(`${target} is not empty; a backup is restored into a DATA_DIR that is empty or new`)
}

async function clear (target: string): Promise<void> {
  for (const name of leftovers) await rm(join(target, name), { recursive: true, force: true })
}

/** With the database in its place the folder is whole: until then no server starts on it. */
async function moveIn (aside: string, target: string): Promise<void> {
  const { database } = dataFolderLayout
  for (const name of (await readdir(aside)).filter(name => name !== database)) await rename(join(aside, name), join(target, name))
  await sync(target)
  await rename(join(aside, database), join(target, database))
  await rmdir(aside)
  await sync(target)
}

/** Puts every file of a backup into a new folder, on stable storage. @throws {BackupError} where one is not what it was. */
export async function fillDataFolder ({ folder, backup, target, place, openSnapshot, onProgress }: FillOptions): Promise<void> {
  const blobs = join(target, dataFolderLayout.blobs)
  await mkdir(target, { mode: 0o700 })
  await mkdir(blobs, { mode: 0o700 })
  let done = 0
  for await (const batch of batches(readSums(folder, backup))) {
    const folders = new Set(batch.map(sum => dirname(join(target, sum.target))))
    for (const path of folders) await mkdir(path, { recursive: true, mode: 0o700 })
    await inParallel(batch, sum => placeOf(sum, place)(join(folder, sum.path), join(target, sum.target), sum.sha256))
    for (const path of folders) await sync(path)
    // The database is the first of all.
    if (done === 0) openSnapshot(join(target, dataFolderLayout.database)).close()
    done += batch.length
    onProgress(Math.min(done, backup.files), backup.files)
  }
  for (const path of [blobs, target]) await sync(path)
}

/** What a server writes to is never the backup's own file. */
function placeOf ({ target }: Sum, place: Place): Place {
  return target.startsWith(`${dataFolderLayout.blobs}/`) ? place : copyVerified
}

async function * batches (sums: AsyncIterable<Sum>): AsyncGenerator<Sum[]> {
  let batch: Sum[] = []
  for await (const sum of sums) {
    batch.push(sum)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Copies: nothing that becomes of the one reaches the other. */
const copyVerified: Place = async (from, to, sha256) => {
  const copied = await writeDurably(to, bytesOf(from))
  refuseDamaged(from, { expected: sha256, found: copied.sha256 })
}

/** Links where the file system allows: for a folder that is thrown away. */
export const linkVerified: Place = async (from, to, sha256) => {
  const content = await contentOf(from).catch(failAsUnreadable(from))
  refuseDamaged(from, { expected: sha256, found: content.sha256 })
  await link(from, to).catch(() => copyVerified(from, to, sha256))
}

function refuseDamaged (path: string, { expected, found }: { expected: string, found: string }): void {
  if (found !== expected) throw new BackupError(`${path} is damaged: it is not what the backup was made with`)
}

/** What fails to be read is told apart from what fails to be written. */
async function * bytesOf (path: string): AsyncGenerator<Buffer> {
  try {
    yield * createReadStream(path, { highWaterMark: READ_BYTES })
  } catch (error) {
    failAsUnreadable(path)(error as Error)
  }
}

const failAsUnreadable = (path: string) => (cause: Error): never => {
  throw new BackupError(`${path} is missing or can't be read: ${cause.message}`, { cause })
}
