import { createReadStream } from 'node:fs'
import { chmod, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { blobPath, dataFolderLayout, LOST_AND_FOUND, makeDataFolder } from '../data-folder/data-folder.ts'
import {
  contentOf, isLinked, makeFolder, READ_BYTES, readIfThere, sync, writeDurably
} from '../data-folder/durable-files.ts'
import { keyFiles } from '../data-folder/key-file.ts'
import type { Snapshot } from '../metadata/snapshot.ts'
import { lockFolder } from '../metadata/sqlite/lock.ts'
import { openSnapshot } from '../metadata/sqlite/snapshot.ts'
import type { OnProgress } from './backup.ts'
import { BackupError, type BackupSummary, originalsFirst, readSums, type Sum } from './manifest.ts'

/** Files processed in one batch, so that a list of a million files is never in memory. */
const BATCH = 256

/** A backup in a folder, which is restored. */
export interface RestoreRequest {
  readonly folder: string
  readonly backup: BackupSummary
  /** Deletes what an interrupted restore left. Else it must be of the same snapshot, and is continued. */
  readonly isDiscarding?: boolean
  readonly onProgress: OnProgress
}

/**
 * Copies or links the file `from` to `to`, and reads all of it, unless `equal` is a file with these bytes that can be
 * linked instead.
 * @throws {BackupError} if it does not have the digest.
 */
type CopyFile = (from: string, to: string, sha256: string, equal?: string) => Promise<void>

/**
 * Restores a backup into an empty or new data folder: all files are copied to a temporary folder, compared with their
 * digests and synced, then moved to their places, the database last. They are not linked to the backup, so changes to
 * the data folder never affect it, but those with the same bytes are linked to each other. A restore that was killed is
 * continued, or with `isDiscarding` started again.
 * @throws {BackupError} if the backup is damaged, the folder is not empty, or has a part of another backup.
 */
export async function restoreBackup (target: string, request: RestoreRequest): Promise<void> {
  const { backup, isDiscarding } = request
  const isNew = await makeDataFolder(target)
  await refuseUsed(target)
  const temporary = join(target, dataFolderLayout.restoring)
  const cut = isDiscarding ? undefined : (await readIfThere(join(temporary, SNAPSHOT)))?.toString()
  if (cut !== undefined && cut !== backup.snapshot) {
    const reason = `${target} has a part of another backup, ${cut}`
    throw new BackupError(`${reason}; restore that one, or begin anew with --discard`)
  }
  await chmod(target, 0o700)
  const lock = lockFolder(join(target, dataFolderLayout.lock))
  try {
    if (cut === undefined) await begin(target, backup)
    else await move(target, temporary)
    await fillDataFolder(temporary, request, copyMissing)
    await move(temporary, target)
    await sync(target)
    // No server starts in the folder until the database is there.
    await rename(join(temporary, dataFolderLayout.database), join(target, dataFolderLayout.database))
  } catch (error) {
    await clear(target)
    await rm(join(target, dataFolderLayout.lock), { force: true })
    if (isNew) await rmdir(target)
    throw error
  } finally {
    lock.close()
  }
  await rm(temporary, { recursive: true })
  await sync(target)
}

/** In the temporary folder: the name of the snapshot that is restored. Versions that always began anew have none. */
const SNAPSHOT = 'snapshot'

/** What is moved in before the database. */
const movedFirst: string[] = [dataFolderLayout.blobs, ...keyFiles]

/** What an interrupted restore may have left. Not the database: it is moved last. */
const leftovers: string[] = [dataFolderLayout.restoring, ...movedFirst]

async function refuseUsed (target: string) {
  const names = (await readdir(target)).filter(name => name !== LOST_AND_FOUND && name !== dataFolderLayout.lock)
  const isInterrupted = names.includes(dataFolderLayout.restoring) && names.every(name => leftovers.includes(name))
  if (names.length === 0 || isInterrupted) return
  throw new BackupError(`${target} is not empty; DATA_DIR must be empty or new to restore a backup`)
}

/** The name of the snapshot comes first: no server starts in the folder from then on. */
async function begin (target: string, { snapshot }: BackupSummary) {
  const temporary = join(target, dataFolderLayout.restoring)
  await clear(target)
  await makeFolder(temporary)
  await writeDurably(join(temporary, SNAPSHOT), [Buffer.from(snapshot)])
  await sync(temporary)
}

async function clear (target: string) {
  for (const name of leftovers) await rm(join(target, name), { recursive: true, force: true })
}

/** Moves all but the database, which is moved last: also back, if that was interrupted. */
async function move (from: string, to: string) {
  const names = (await readdir(from)).filter(name => movedFirst.includes(name))
  for (const name of names) await rename(join(from, name), join(to, name))
}

/**
 * Copies or links every file of a backup into a folder, on stable storage. Files that a server writes to are always
 * copied.
 * @throws {BackupError} if one is missing or damaged.
 */
export async function fillDataFolder (
  target: string, request: RestoreRequest, copyFile: CopyFile
): Promise<void> {
  const folders = new Set<string>()
  const makeOnce = async (path: string) => {
    if (!folders.has(path)) await mkdir(path, { recursive: true, mode: 0o700 })
    folders.add(path)
  }
  await makeOnce(join(target, dataFolderLayout.blobs))
  await restoreEach(request, join(target, dataFolderLayout.database), async (sum, original) => {
    const to = join(target, sum.target)
    await makeOnce(dirname(to))
    const copy = isBlob(sum) ? copyFile : copyVerified
    await copy(join(request.folder, sum.path), to, sum.sha256, original && join(target, blobPath(original)))
  })
  for (const path of folders) await sync(path)
}

/**
 * Calls `restore` for each file of a backup, some at a time, with the id of a blob with the same bytes that is restored
 * already. The first is the database, whose place is `database`: its version is checked before the others follow.
 */
export async function restoreEach (
  { folder, backup, onProgress }: RestoreRequest,
  database: string,
  restore: (sum: Sum, original?: string) => Promise<void>
): Promise<void> {
  let done = 0
  let snapshot: Snapshot | undefined
  try {
    for await (const batch of batches(readSums(folder, backup))) {
      await originalsFirst(batch, sum => snapshot?.originalOf(basename(sum.target)), restore)
      snapshot ??= openSnapshot(database)
      done += batch.length
      onProgress(Math.min(done, backup.files), backup.files)
    }
  } finally {
    snapshot?.close()
  }
}

/** Whether a file of a backup is a blob: others are the database and the keys. */
export function isBlob ({ target }: Sum): boolean {
  return target.startsWith(`${dataFolderLayout.blobs}/`)
}

/** The files of a backup, some at a time; the first one, the database, alone. */
async function * batches (sums: AsyncIterable<Sum>): AsyncGenerator<Sum[]> {
  let batch: Sum[] = []
  let size = 1
  for await (const sum of sums) {
    batch.push(sum)
    if (batch.length < size) continue
    yield batch
    batch = []
    size = BATCH
  }
  if (batch.length > 0) yield batch
}

/** Copies a file of the backup. @throws {BackupError} if it is missing or damaged. */
export const copyVerified: CopyFile = async (from, to, sha256) => {
  const copied = await writeDurably(to, bytesOf(from))
  refuseDamaged(from, { expected: sha256, found: copied.sha256 })
}

/** Copies or links a file unless an interrupted restore has. */
const copyMissing: CopyFile = async (from, to, sha256, equal) => {
  const present = await contentOf(to).catch(() => undefined)
  if (present?.sha256 === sha256 || (equal !== undefined && await isLinked(equal, to))) return
  await copyVerified(from, to, sha256)
}

/** Links if the file system allows it: for a temporary folder. */
export const linkVerified: CopyFile = async (from, to, sha256) => {
  const content = await contentOf(from).catch(failAsUnreadable(from))
  refuseDamaged(from, { expected: sha256, found: content.sha256 })
  if (!await isLinked(from, to)) await copyVerified(from, to, sha256)
}

/** @throws {BackupError} if a file of the backup has another digest. */
export function refuseDamaged (path: string, { expected, found }: { expected: string, found: string }): void {
  if (found !== expected) throw new BackupError(`${path} is damaged: it does not have its digest`)
}

/** The bytes of a file of the backup. Distinguishes read errors from write errors. */
export async function * bytesOf (path: string): AsyncGenerator<Buffer> {
  try {
    yield * createReadStream(path, { highWaterMark: READ_BYTES })
  } catch (error) {
    failAsUnreadable(path)(error as Error)
  }
}

/** Handles the error of a file of the backup that can't be read. @throws {BackupError}. */
export const failAsUnreadable = (path: string) => (cause: Error): never => {
  throw new BackupError(`${path} is missing or can't be read: ${cause.message}`, { cause })
}
