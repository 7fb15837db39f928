import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { blobPath, dataFolderLayout } from '../data-folder/data-folder.ts'
import { failAsStorage, makeFolder, sync, writeNew } from '../data-folder/durable-files.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { splitPath } from '../metadata/paths.ts'
import type { AccountRecord, FileRecord } from '../metadata/records.ts'
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.ts'
import { failures, Problem } from '../problems.ts'
import { BackupError, type BackupSummary, readSums } from './manifest.ts'
import { bytesOf, copyVerified, refuseDamaged } from './restore.ts'

/** Opens a copy of the metadata of a snapshot for `use`, upgraded. @throws {BackupError} if it is damaged. */
export async function withMetadata<T> (
  folder: string, backup: BackupSummary, use: (metadata: Metadata) => Promise<T>
): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), 'magicstore-restore-'))
  try {
    const copy = join(scratch, dataFolderLayout.database)
    for await (const { path, target, sha256 } of readSums(folder, backup)) {
      if (target === dataFolderLayout.database) await copyVerified(join(folder, path), copy, sha256)
    }
    const metadata = await openSqliteMetadata(copy)
    return await use(metadata).finally(() => metadata.close())
  } finally {
    await rm(scratch, { recursive: true })
  }
}

/** Files listed at a time. */
const PAGE = 500

/** The files of an account: all, the one of this name, or those in the folder of this name. Not versions and trash. */
export async function * filesOf (
  { files }: Metadata, { id }: AccountRecord, name: string | undefined
): AsyncGenerator<FileRecord> {
  const file = name === undefined ? undefined : await files.find(id, name)
  if (file !== undefined) return yield file
  const prefix = name === undefined ? '' : `${name}/`
  let page: FileRecord[]
  let last: FileRecord | undefined
  do {
    const after = last && { key: splitPath(last.name).name, id: last.folderId }
    page = await files.list(id, { order: 'name', folder: undefined, prefix: undefined, limit: PAGE, after })
    yield * page.filter(({ name }) => name.startsWith(prefix))
    last = page.at(-1)
  } while (last !== undefined)
}

/** Whether an account has a file or a folder of this name. */
export async function hasName ({ files, folders }: Metadata, { id }: AccountRecord, name: string): Promise<boolean> {
  return (await files.find(id, name) ?? await folders.find(id, name)) !== undefined
}

/** What became of a file. */
type Outcome = 'restored' | 'replaced' | 'unchanged'

/** Puts a file where it belongs. Reads all of its bytes, or none. */
export type PutFile = (file: FileRecord, bytes: () => AsyncIterable<Uint8Array>) => Promise<Outcome>

/** What was restored, and the files that could not be. */
interface FilesReport extends Record<Outcome, number> {
  /** Of the files that were restored and replaced. */
  bytes: number
  readonly failed: { readonly name: string, readonly reason: string }[]
}

/**
 * Restores files with `put`, each with its digest compared. One that is damaged in the backup, or that may not be
 * stored, does not stop the others.
 */
export async function restoreFiles (
  folder: string,
  files: AsyncIterable<FileRecord>,
  { put, onProgress }: { put: PutFile, onProgress: (done: number) => void }
): Promise<FilesReport> {
  const report: FilesReport = { restored: 0, replaced: 0, unchanged: 0, bytes: 0, failed: [] }
  for await (const file of files) {
    try {
      const outcome = await put(file, () => verifiedBytes(join(folder, blobPath(file.blobId)), file.sha256))
      report[outcome]++
      if (outcome !== 'unchanged') report.bytes += file.size
    } catch (error) {
      if (!isOfOneFile(error)) throw error
      report.failed.push({ name: file.name, reason: error.message })
    }
    onProgress(report.restored + report.replaced + report.unchanged + report.failed.length)
  }
  return report
}

/** Whether other files can be restored all the same: bytes are damaged, a quota or a limit is exceeded. */
function isOfOneFile (error: unknown): error is Error {
  return error instanceof BackupError || (error instanceof Problem && failures[error.code].status < 500)
}

/** Fails after the last byte if the digest is another. */
async function * verifiedBytes (path: string, sha256: string): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  for await (const chunk of bytesOf(path)) {
    hash.update(chunk)
    yield chunk
  }
  refuseDamaged(path, { expected: sha256, found: hash.digest('hex') })
}

/** @throws {BackupError} if a folder has something in it, or is none. */
export async function refuseUsedFolder (folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new BackupError(`${folder} can't be used as a folder: ${error.message}`, { cause: error })
  })
  if (names.length > 0) throw new BackupError(`${folder} is not empty: name a folder that is empty, or does not exist`)
}

/**
 * Writes files into an empty folder and folders in it, under their own names, on stable storage. None is ever
 * overwritten.
 */
export async function openFolder (folder: string): Promise<{ put: PutFile, close (): Promise<void> }> {
  await makeFolder(folder)
  const used = new Set([folder])
  return {
    async put ({ name }, bytes) {
      refuseForged(name)
      const path = join(folder, name)
      await makeFolder(dirname(path)).catch(failAsPlace)
      used.add(dirname(path))
      await writeNew(path, bytes()).catch(failAsPlace)
      return 'restored'
    },
    async close () {
      for (const path of used) await sync(path)
    }
  }
}

/** No name in a store would leave the folder, but a backup can be forged. @throws {BackupError}. */
function refuseForged (name: string): void {
  const isForged = name.includes('\0') || name.split('/').some(segment => ['', '.', '..'].includes(segment))
  if (isForged) throw new BackupError('it has a name that no file can have')
}

/**
 * Codes of a place that a file can't have, while others can be written: also if the file system does not distinguish
 * case, or has a lower limit for names.
 */
const NO_PLACE = ['EEXIST', 'ENOTDIR', 'ENAMETOOLONG']

/** @throws {BackupError}, storage_full, overloaded, or the error itself. */
function failAsPlace (error: NodeJS.ErrnoException): never {
  if (!NO_PLACE.includes(String(error.code))) return failAsStorage(error)
  throw new BackupError(`there is no place for it: ${error.message}`, { cause: error })
}
