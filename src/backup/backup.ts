import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobStore, StoredBlob } from '../blobs/blob-store.ts'
import { readVersion } from '../config.ts'
import { blobPath, dataFolderLayout, LOST_AND_FOUND } from '../data-folder/data-folder.ts'
import { contentOf, makeFolder, sync, writeDurably } from '../data-folder/durable-files.ts'
import { keyFiles, type KeyFileName } from '../data-folder/key-file.ts'
import type { Snapshot } from '../metadata/snapshot.ts'
import { lockFolder, type FolderLock } from '../metadata/sqlite/lock.ts'
import { Problem } from '../problems.ts'
import {
  BackupError, backupLayout, FORMAT, manifestText, NewerBackupError, originalsFirst, readManifest,
  sumLine
} from './manifest.ts'
import { keepNewest, prefixes, removeUnreferenced } from './snapshots.ts'

/**
 * A store under a retention lock: the bytes of every blob that a file has now or gets later stay until `close`. A
 * backup first copies the metadata, then the blobs that the copy names: all of them are still there, however long that
 * takes and whatever is replaced or deleted meanwhile. Blobs first would not work: the metadata could name blobs that
 * were added and deleted in between, and repeating until nothing is missing may never end on a busy server.
 */
export interface BackupSource {
  readonly installationId: string
  readonly blobs: BlobStore
  /** Copies all metadata, as of one moment, into a new SQLite database: the portable form, whatever backend has it. */
  takeSnapshot (file: string): Promise<Snapshot>
  /** Keys that are kept with the metadata, in lines of `kid:secret`; undefined if there are none. */
  readKeys (name: KeyFileName): Promise<Buffer | undefined>
  /** Releases the retention lock. Closing twice is no error. */
  close (): Promise<void>
}

/** Called with the number of files that are done, and of all files. */
export type OnProgress = (done: number, total: number) => void

/** How blobs got into the backup; `kept` were already there. */
interface BackupCounts { linked: number, copied: number, kept: number }

/**
 * Prepares a folder for the backups of one installation, and locks it. A folder that is refused is not changed.
 * @throws {BackupError} if it contains anything else, or backups of another installation or of a newer format,
 * {FolderInUseError}.
 */
export async function prepareBackupFolder (folder: string, installationId: string): Promise<FolderLock> {
  await makeFolder(folder)
  const marker = join(folder, backupLayout.installation)
  const present = await readFile(marker, 'utf8').catch(() => undefined)
  if (present === undefined) {
    const ignored: string[] = [LOST_AND_FOUND, `${backupLayout.installation}.new`]
    const isEmpty = (await readdir(folder)).every(name => ignored.includes(name))
    if (!isEmpty) throw new BackupError(`${folder} contains files that are not a backup; use an empty or new folder`)
    await writeDurably(marker, [Buffer.from(`${installationId}\n`)])
  } else if (present.trim() !== installationId) {
    throw new BackupError(`${folder} contains a backup of another installation`)
  }
  // A missing or damaged manifest does not prevent a new backup.
  await readManifest(folder).catch((error: Error) => { if (error instanceof NewerBackupError) throw error })
  await chmod(folder, 0o700)
  return lockFolder(join(folder, backupLayout.lock), { inUse: 'another backup to this folder is running' })
}

export type DraftBackup = Awaited<ReturnType<typeof createBackup>>

/**
 * Makes a backup in a prepared folder, beside the previous ones, of which `commit` leaves so many that there are `keep`
 * in all, by default as many as before. Blobs that are already there, also from an interrupted run, are kept. Nothing
 * is deleted before `commit`, so if this fails or is interrupted, the previous snapshots stay valid. Returns a complete
 * backup on stable storage that the folder's manifest does not name yet.
 * @throws {BackupError} if bytes of the source are missing or damaged, storage_full.
 */
export async function createBackup (
  source: BackupSource, folder: string, { keep, onProgress }: { keep: number | undefined, onProgress: OnProgress }
) {
  const kept = await keepNewest(folder, keep)
  const createdAt = new Date().toISOString()
  const name = `snapshot-${randomBytes(4).toString('hex')}`
  const snapshotFolder = join(folder, name)
  const blobFolder = join(folder, dataFolderLayout.blobs)
  const draft = join(folder, backupLayout.draft)
  const counts = { linked: 0, copied: 0, kept: 0 }
  await mkdir(snapshotFolder, { mode: 0o700 })
  await mkdir(blobFolder, { recursive: true, mode: 0o700 })
  let snapshot: Snapshot | undefined
  try {
    const taken = snapshot = await source.takeSnapshot(join(snapshotFolder, dataFolderLayout.database))
    const keys = await copyKeys(source, snapshotFolder)
    const lines = copyBlobs({ source, snapshot, folder, name, keys, counts, onProgress })
    const { sha256: sums } = await writeDurably(join(snapshotFolder, backupLayout.sums), lines)
    const summary = {
      format: FORMAT,
      magicstore: readVersion(),
      installationId: snapshot.installationId,
      createdAt,
      snapshot: name,
      ...snapshot.totals,
      hasSigningKeys: keys.has(dataFolderLayout.signingKeys),
      sums
    }
    await writeDurably(join(snapshotFolder, backupLayout.manifest), [Buffer.from(manifestText(summary))])
    await writeDurably(draft, [Buffer.from(manifestText(summary, kept))])
    for (const path of [snapshotFolder, blobFolder, folder]) await sync(path)
    let isCommitted = false
    return {
      summary,
      counts,
      /**
       * Atomically and durably makes it the newest snapshot, then deletes those that are not kept and what only they
       * used. Returns the number of deleted blobs, and the names of kept snapshots that can't be read.
       */
      async commit () {
        await rename(draft, join(folder, backupLayout.manifest))
        isCommitted = true
        await sync(folder)
        return removeUnreferenced(folder, { name, snapshot: taken }, kept)
      },
      /** Unless it was committed, deletes the draft; the previous snapshots are unchanged. */
      async close () {
        taken.close()
        if (isCommitted) return
        await rm(draft)
        await rm(snapshotFolder, { recursive: true })
      }
    }
  } catch (error) {
    snapshot?.close()
    await rm(snapshotFolder, { recursive: true })
    throw error
  }
}

/**
 * Copies the keys, after the metadata: so every token and every sealed secret in the copy has its key. Returns the
 * digests of those that there are.
 */
async function copyKeys (source: BackupSource, snapshotFolder: string): Promise<ReadonlyMap<KeyFileName, string>> {
  const digests = new Map<KeyFileName, string>()
  for (const name of keyFiles) {
    const keys = await source.readKeys(name)
    if (keys !== undefined) digests.set(name, (await writeDurably(join(snapshotFolder, name), [keys])).sha256)
  }
  return digests
}

interface CopyOptions {
  source: BackupSource
  snapshot: Snapshot
  folder: string
  name: string
  keys: ReadonlyMap<KeyFileName, string>
  counts: BackupCounts
  onProgress: OnProgress
}

/** Copies the blobs and yields the lines of the digest file; each blob is in the backup before its line is yielded. */
async function * copyBlobs (options: CopyOptions): AsyncGenerator<Buffer> {
  const { snapshot, folder, name, keys, counts, onProgress } = options
  const database = await contentOf(join(folder, name, dataFolderLayout.database))
  yield Buffer.from(sumLine(database.sha256, `${name}/${dataFolderLayout.database}`))
  for (const [file, digest] of keys) yield Buffer.from(sumLine(digest, `${name}/${file}`))
  let done = 0
  for (const prefix of prefixes) {
    const blobs = snapshot.blobs(prefix)
    if (blobs.length === 0) continue
    const blobFolder = join(folder, dataFolderLayout.blobs, prefix)
    await mkdir(blobFolder, { recursive: true, mode: 0o700 })
    await originalsFirst(blobs, ({ id }) => snapshot.originalOf(id), async (blob, original) => {
      counts[await copyBlob(blob, options, original)]++
    })
    await sync(blobFolder)
    yield Buffer.from(blobs.map(({ id, sha256 }) => sumLine(sha256, blobPath(id))).join(''))
    done += blobs.length
    onProgress(done, snapshot.totals.files)
  }
}

/**
 * A file with the blob's name is complete: it was created atomically, and blobs never change. The size is checked in
 * case it was damaged. `original`: a blob with the same bytes, which is in the backup.
 */
async function copyBlob (
  blob: StoredBlob, { source, folder }: Pick<CopyOptions, 'source' | 'folder'>, original: string | undefined
): Promise<keyof BackupCounts> {
  const path = join(folder, blobPath(blob.id))
  const present = await lstat(path).catch(() => undefined)
  if (present?.isFile() === true && present.size === blob.size) return 'kept'
  await rm(path, { recursive: true, force: true })
  const equal = original && join(folder, blobPath(original))
  return source.blobs.copies.copyTo(blob, path, equal).catch((error: unknown) => {
    if (!(error instanceof Problem) || error.code !== 'file_damaged') throw error
    throw new BackupError(
      `the stored bytes of blob ${blob.id} are missing or damaged; run magicstore fsck --deep to find its file`,
      { cause: error }
    )
  })
}
