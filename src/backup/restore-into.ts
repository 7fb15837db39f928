import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { lockDataFolder, openBlobs, openPostgres, storageRecordIn } from '../backends/backends.ts'
import {
  isOfRestore, pairMark, refuseForeignMark, RESTORING, SEPARATOR, storageText, type StorageSettings
} from '../backends/pairing.ts'
import { type BlobStore, digestOf, type StoredBlob } from '../blobs/blob-store.ts'
import { complete } from '../blobs/blob-writer.ts'
import type { Config } from '../config.ts'
import {
  dataFolderLayout, hasDatabase, isThere, prepareForRestore, refuseHalfRestored, usesDataFolder
} from '../data-folder/data-folder.ts'
import { makeFolder, sync, writeDurably } from '../data-folder/durable-files.ts'
import { findKeys, keyFiles, type KeyRings, replaceKeys } from '../data-folder/key-file.ts'
import type { PostgresMetadata } from '../metadata/postgres/postgres.ts'
import { ConfigError, Problem } from '../problems.ts'
import type { BackupSummary, Sum } from './manifest.ts'
import {
  bytesOf, copyVerified, failAsUnreadable, isBlob, refuseDamaged, restoreEach, type RestoreRequest
} from './restore.ts'

/**
 * Restores a backup into an empty store of any kind that is not a data folder alone. The metadata comes last: until
 * then no account exists, and the store is marked so that no server starts on it. A restore that was interrupted
 * continues: blobs that are there, with the right digest, are not written again.
 * @throws {BackupError} if the backup is damaged, {ConfigError} if the store is not empty, or if its blobs are another
 * installation's or of another backup, {FolderInUseError} if a server uses its data folder.
 */
export async function restoreInto (config: Config, request: RestoreRequest): Promise<void> {
  const { backup, isDiscarding = false } = request
  const { dataDir, databaseUrl } = config
  // With the database in the folder, the folder says itself that a restore was interrupted.
  if (usesDataFolder(config) && databaseUrl !== undefined) await refuseHalfRestored(dataDir)
  await prepareForRestore(config)
  const opened: { close (): unknown }[] = [lockDataFolder(config)]
  try {
    if (databaseUrl === undefined) await refuseDatabase(dataDir)
    const database = databaseUrl === undefined ? undefined : await openEmptyPostgres(databaseUrl)
    if (database !== undefined) opened.push(database)
    const blobs = await openBlobs(config)
    opened.push(blobs)
    const cut = await findCutRestore(config, blobs, request)
    await refuseForeignMark(config, backup.installationId, blobs)
    if (database === undefined) await beginInFolder(dataDir, isDiscarding)
    if (cut !== undefined && isDiscarding) await discardRestore(blobs, cut)
    const restore = cut === undefined || isDiscarding ? await beginRestore(blobs, backup) : cut
    await restoreBlobs(blobs, request, async (file, keys) => {
      await pairRestored(config, blobs, restore)
      if (database === undefined) await importIntoFolder(dataDir, file, keys, restore.storageId)
      else await database.importMetadata(file, keys, restore.storageId)
    })
    await blobs.marks.remove(markOf(restore))
    if (database === undefined) await rm(join(dataDir, dataFolderLayout.restoring), { recursive: true })
  } finally {
    for (const each of opened.reverse()) await each.close()
  }
}

/** Refused here before any blob is written; the import refuses it again, in its transaction. */
async function openEmptyPostgres (url: string): Promise<PostgresMetadata> {
  const metadata = await openPostgres(url)
  const hasAccounts = (await metadata.accounts.listAfter(0, 1)).length > 0
  // The servers on it would go on with tokens of another installation.
  if (!hasAccounts && await metadata.findStorageId() === undefined) return metadata
  await metadata.close()
  throw new ConfigError(`DATABASE_URL: the database ${hasAccounts ? 'has accounts' : 'was used by a server'}`, {
    remedy: 'restore the backup into a new one, with another prefix in STORAGE_URL, or another DATA_DIR'
  })
}

/** @throws {ConfigError} if the folder has a database. */
async function refuseDatabase (dataDir: string) {
  if (!await hasDatabase(dataDir)) return
  throw new ConfigError(`DATA_DIR: ${dataDir} has a database`, {
    remedy: 'restore the backup into an empty folder, with another prefix in STORAGE_URL if a server has used this one'
  })
}

/**
 * The folder says that the database is not there yet, because a server would make a new one before it looks at the
 * blobs.
 */
async function beginInFolder (dataDir: string, isDiscarding: boolean) {
  const restoring = join(dataDir, dataFolderLayout.restoring)
  if (isDiscarding && await isThere(restoring)) {
    for (const name of [dataFolderLayout.restoring, dataFolderLayout.storageId, ...keyFiles]) {
      await rm(join(dataDir, name), { recursive: true, force: true })
    }
  }
  await makeFolder(restoring)
}

/** The database file is moved to its place whole. */
async function importIntoFolder (dataDir: string, file: string, keys: KeyRings, storageId: string) {
  await storageRecordIn(dataDir).recordStorageId(storageId)
  for (const name of keyFiles) if (keys[name] !== undefined) await replaceKeys(dataDir, name, keys[name])
  await writeDurably(join(dataDir, dataFolderLayout.database), createReadStream(file))
  await sync(dataDir)
}

/**
 * Restores the blobs, then calls `importMetadata` with a copy of the database, of this version or an older one, and
 * the keys of the backup.
 */
async function restoreBlobs (
  blobs: BlobStore, request: RestoreRequest, importMetadata: (file: string, keys: KeyRings) => Promise<void>
) {
  const { folder } = request
  const scratch = await mkdtemp(join(tmpdir(), 'magicstore-restore-'))
  const database = join(scratch, dataFolderLayout.database)
  try {
    await restoreEach(request, database, async (sum, original) => {
      if (isBlob(sum)) await putBlob(folder, sum, blobs, original)
      else await copyVerified(join(folder, sum.path), join(scratch, sum.target), sum.sha256)
    })
    const keys: KeyRings = {}
    for (const name of keyFiles) {
      const found = await findKeys(scratch, name)
      if (found !== undefined) keys[name] = found
    }
    await importMetadata(database, keys)
  } finally {
    await rm(scratch, { recursive: true })
  }
}

/** `original`: a blob in the store with the same bytes. */
async function putBlob (
  folder: string, { path, sha256 }: Sum, blobs: BlobStore, original: string | undefined
) {
  const from = join(folder, path)
  const id = basename(path)
  const { size } = await stat(from).catch(failAsUnreadable(from))
  if (await isPresent(blobs, { id, size, sha256 })) return
  // Also aborts an upload that an interrupted restore has begun.
  await blobs.remove([id])
  if (original === undefined) {
    const stored = await complete(blobs.put(id, bytesOf(from), { maxBytes: size }))
    if (stored.sha256 !== sha256) await blobs.remove([id])
    refuseDamaged(from, { expected: sha256, found: stored.sha256 })
  } else await complete(blobs.copies.copy({ id: original, size, sha256 }, id, { maxBytes: size }))
  blobs.commit(id)
}

/**
 * Whether the store has the blob with these bytes. Reads all of them, because the restore may be meant to repair
 * damage.
 */
async function isPresent (blobs: BlobStore, { id, size, sha256 }: StoredBlob): Promise<boolean> {
  try {
    return await digestOf(await blobs.read({ id, size })) === sha256
  } catch (error) {
    if (error instanceof Problem && error.code === 'file_damaged') return false
    throw error
  }
}

/** A restore into a blob store, as its mark says: made before the first blob, removed after the metadata are there. */
interface MarkedRestore extends Pick<BackupSummary, 'installationId' | 'snapshot'> {
  /** The id of the store that the restored metadata will record. */
  readonly storageId: string
  /** Whether the store was empty before: then all its blobs are of this restore. */
  readonly isAlone: boolean
}

function markOf ({ installationId, storageId, snapshot, isAlone }: MarkedRestore): string {
  return [RESTORING, installationId, storageId, snapshot, isAlone ? 'alone' : 'shared'].join(SEPARATOR)
}

/**
 * The interrupted restore that is to be continued or discarded, if there is one.
 * @throws {ConfigError} if it is of another backup and not to be discarded.
 */
async function findCutRestore (
  config: StorageSettings, blobs: BlobStore, { backup, isDiscarding }: RestoreRequest
): Promise<MarkedRestore | undefined> {
  const mark = (await blobs.marks.list()).find(isOfRestore)
  if (mark === undefined) return undefined
  const [, installationId = '', storageId = '', snapshot = '', use] = mark.split(SEPARATOR)
  if (isDiscarding !== true && (installationId !== backup.installationId || snapshot !== backup.snapshot)) {
    throw new ConfigError(`${storageText(config)} has a part of another backup, ${snapshot}`, {
      remedy: 'restore that one, or begin anew with --discard'
    })
  }
  return { installationId, storageId, snapshot, isAlone: use === 'alone' }
}

/** Marks the store before the first blob is written. */
async function beginRestore (
  blobs: BlobStore, { installationId, snapshot }: BackupSummary
): Promise<MarkedRestore> {
  const [pending, marks] = [await blobs.pending?.() ?? [], await blobs.marks.list()]
  const committed = await Readable.from(blobs.list()).take(1).toArray()
  const isAlone = pending.length + marks.length + committed.length === 0
  const restore = { installationId, snapshot, storageId: randomUUID(), isAlone }
  await blobs.marks.add(markOf(restore))
  return restore
}

/**
 * Makes the mark that the restored metadata refer to.
 * @throws {ConfigError} if another restore has discarded this one, and with it some of its blobs.
 */
async function pairRestored (config: StorageSettings, blobs: BlobStore, restore: MarkedRestore) {
  if (!(await blobs.marks.list()).includes(markOf(restore))) {
    const reason = `${storageText(config)}: another restore has discarded this one`
    throw new ConfigError(reason, { remedy: 'run one restore at a time' })
  }
  await blobs.marks.add(pairMark(restore.installationId, restore.storageId))
}

/** Blobs removed at a time, in one request to a bucket. */
const BATCH = 10

/** Deletes the blobs if they are all of the interrupted restore: those of another database stay. Its mark goes last. */
async function discardRestore (blobs: BlobStore, cut: MarkedRestore) {
  const pair = pairMark(cut.installationId, cut.storageId)
  const others = (await blobs.marks.list()).filter(mark => mark !== markOf(cut) && mark !== pair)
  if (cut.isAlone && others.length === 0) await removeAll(blobs)
  await blobs.marks.remove(pair)
  await blobs.marks.remove(markOf(cut))
}

async function removeAll (blobs: BlobStore) {
  let ids = await blobs.pending?.() ?? []
  for await (const id of blobs.list()) {
    ids.push(id)
    if (ids.length < BATCH) continue
    await blobs.remove(ids)
    ids = []
  }
  await blobs.remove(ids)
}
