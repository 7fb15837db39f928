import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobStore, StoredBlob } from '../blobs/blob-store.ts'
import { blobPath, dataFolderLayout, LOST_AND_FOUND } from '../blobs/disk/data-folder.ts'
import { contentOf, makeFolder, readIfThere, sync, writeDurably } from '../blobs/disk/durable-files.ts'
import { readVersion } from '../config.ts'
import type { Snapshot } from '../metadata/snapshot.ts'
import { Problem } from '../problems.ts'
import { BackupError, type BackupFacts, backupLayout, inParallel, manifestText, NewerBackupError, readManifest, sumLine } from './manifest.ts'

/** What blobs lie under, and are taken in turn by: of a million a few thousand are in memory. */
const prefixes = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, '0'))

/**
 * A data folder whose blobs are held: the bytes of every blob that a file has now or gets later stay until `close`. The
 * facts are copied after that, and the bytes they name after the facts, so that each is still there, however long it takes
 * and whatever is replaced or deleted meanwhile. The other way round, bytes before facts, the facts could name bytes that
 * came and went in between; and to begin anew until nothing is missing need never end on a busy server.
 */
export interface BackupSource {
  readonly installationId: string
  readonly dataDir: string
  readonly blobs: BlobStore
  /** Copies all facts as they are now into a new file. */
  takeSnapshot (file: string): Promise<Snapshot>
  /** Lets the blobs go; a second time is no error. */
  close (): Promise<void>
}

/** Hears how many files of how many are done. */
export type OnProgress = (done: number, total: number) => void

/** What became of the blobs; `kept` are those that the backup had already. */
export interface BackupCounts { linked: number, copied: number, kept: number }

/** A backup that is whole and on stable storage, and not yet the one that the folder's manifest names. */
export interface DraftBackup {
  readonly facts: BackupFacts
  readonly counts: Readonly<BackupCounts>
  /** Puts it in place of the one before, in one step that is on stable storage, and then removes what only that one had: tells how many blobs. */
  commit (): Promise<number>
  /** Ends its use; where it was not put in place, the one before is as it was. */
  close (): Promise<void>
}

/**
 * Makes a folder ready for the backups of one installation. One that is refused was not touched.
 * @throws {BackupError} where it holds something else, or backups of another installation or of a newer format.
 */
export async function prepareBackupFolder (folder: string, installationId: string): Promise<void> {
  await makeFolder(folder)
  const marker = join(folder, backupLayout.installation)
  const present = await readFile(marker, 'utf8').catch(() => undefined)
  if (present === undefined) {
    const names = (await readdir(folder)).filter(name => name !== LOST_AND_FOUND && name !== `${backupLayout.installation}.new`)
    if (names.length > 0) throw new BackupError(`${folder} holds something that is no backup; give a folder that is empty or new`)
    await writeDurably(marker, [Buffer.from(`${installationId}\n`)])
  } else if (present.trim() !== installationId) throw new BackupError(`${folder} holds the backup of another installation`)
  // A manifest that is missing or damaged is no reason against a new one.
  await readManifest(folder).catch((error: Error) => { if (error instanceof NewerBackupError) throw error })
  await chmod(folder, 0o700)
}

/**
 * Makes a backup in a folder that is ready, beside the one that is there: blobs that it has already are not touched, and
 * what an interrupted run put there whole is used. Nothing is removed before `commit`, so that whatever ends it early leaves
 * the one before good.
 * @throws {BackupError} where bytes of the source are gone or damaged, storage_full.
 */
export async function createBackup ({ source, folder, onProgress }: { source: BackupSource, folder: string, onProgress: OnProgress }): Promise<DraftBackup> {
  const createdAt = new Date().toISOString()
  const name = `snapshot-${randomBytes(4).toString('hex')}`
  const place = join(folder, name)
  await mkdir(place, { mode: 0o700 })
  await mkdir(join(folder, dataFolderLayout.blobs), { recursive: true, mode: 0o700 })
  try {
    const snapshot = await source.takeSnapshot(join(place, dataFolderLayout.database))
    try {
      const counts = { linked: 0, copied: 0, kept: 0 }
      const keys = await copyKeys(source.dataDir, place)
      const lines = gather({ source, snapshot, folder, name, keys, counts, onProgress })
      const { sha256: sums } = await writeDurably(join(place, backupLayout.sums), lines)
      const facts = { format: 1, magicstore: readVersion(), installationId: snapshot.installationId, createdAt, snapshot: name, ...snapshot.totals, hasSigningKeys: keys !== undefined, sums } as const
      await writeDurably(join(folder, backupLayout.draft), [Buffer.from(manifestText(facts))])
      for (const path of [place, join(folder, dataFolderLayout.blobs), folder]) await sync(path)
      return draftOf({ folder, facts, counts, snapshot })
    } catch (error) {
      snapshot.close()
      throw error
    }
  } catch (error) {
    await rm(place, { recursive: true })
    throw error
  }
}

function draftOf ({ folder, facts, counts, snapshot }: { folder: string, facts: BackupFacts, counts: BackupCounts, snapshot: Snapshot }): DraftBackup {
  let isCommitted = false
  return {
    facts,
    counts,
    async commit () {
      await rename(join(folder, backupLayout.draft), join(folder, backupLayout.manifest))
      isCommitted = true
      await sync(folder)
      return removeOthers(folder, facts, snapshot)
    },
    async close () {
      snapshot.close()
      if (isCommitted) return
      await rm(join(folder, backupLayout.draft))
      await rm(join(folder, facts.snapshot), { recursive: true })
    }
  }
}

/** The key ring as it is after the facts were copied: what signed the last token among them is in it. Gives its digest. */
async function copyKeys (dataDir: string, place: string): Promise<string | undefined> {
  const keys = await readIfThere(join(dataDir, dataFolderLayout.signingKeys))
  return keys === undefined ? undefined : (await writeDurably(join(place, dataFolderLayout.signingKeys), [keys])).sha256
}

interface Gathering {
  source: BackupSource
  snapshot: Snapshot
  folder: string
  name: string
  keys: string | undefined
  counts: BackupCounts
  onProgress: OnProgress
}

/** The lines of the digests; a blob is in the backup's folder before its line is. */
async function * gather ({ source, snapshot, folder, name, keys, counts, onProgress }: Gathering): AsyncGenerator<Buffer> {
  const database = await contentOf(join(folder, name, dataFolderLayout.database))
  yield Buffer.from(sumLine(database.sha256, `${name}/${dataFolderLayout.database}`))
  if (keys !== undefined) yield Buffer.from(sumLine(keys, `${name}/${dataFolderLayout.signingKeys}`))
  let done = 0
  for (const prefix of prefixes) {
    const blobs = snapshot.blobs(prefix)
    if (blobs.length === 0) continue
    const place = join(folder, dataFolderLayout.blobs, prefix)
    await mkdir(place, { recursive: true, mode: 0o700 })
    await inParallel(blobs, async blob => { counts[await placeBlob(blob, { source, folder })]++ })
    await sync(place)
    yield Buffer.from(blobs.map(({ id, sha256 }) => sumLine(sha256, blobPath(id))).join(''))
    done += blobs.length
    onProgress(done, snapshot.totals.files)
  }
}

/** What has its name is whole: it was put there in one step, and blobs never change. The size tells what else might have happened to it. */
async function placeBlob (blob: StoredBlob, { source, folder }: { source: BackupSource, folder: string }): Promise<keyof BackupCounts> {
  const path = join(folder, blobPath(blob.id))
  const present = await lstat(path).catch(() => undefined)
  if (present?.isFile() === true && present.size === blob.size) return 'kept'
  await rm(path, { recursive: true, force: true })
  return source.blobs.copyTo(blob, path).catch((error: unknown) => {
    if (!(error instanceof Problem) || error.code !== 'file_damaged') throw error
    throw new BackupError(`the stored bytes of blob ${blob.id} are gone or damaged; magicstore fsck --deep tells whose they are`, { cause: error })
  })
}

/** Removes what the snapshot that counts does not name. */
async function removeOthers (folder: string, { snapshot: name }: BackupFacts, snapshot: Snapshot): Promise<number> {
  for (const other of (await readdir(folder)).filter(entry => entry.startsWith('snapshot-') && entry !== name)) {
    await rm(join(folder, other), { recursive: true })
  }
  const blobs = join(folder, dataFolderLayout.blobs)
  let count = 0
  for (const prefix of (await readdir(blobs)).filter(name => prefixes.includes(name))) {
    const known = new Set(snapshot.blobs(prefix).map(({ id }) => id))
    const others = (await readdir(join(blobs, prefix))).filter(name => !known.has(name))
    for (const other of others) await rm(join(blobs, prefix, other), { recursive: true })
    if (known.size === 0) await rmdir(join(blobs, prefix))
    count += others.length
  }
  return count
}
