import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from '../blobs/blob-store.ts'
import { contentOf, READ_BYTES } from '../data-folder/durable-files.ts'
import { joinPath } from '../metadata/paths.ts'
import type { AccountRecord, FileRecord } from '../metadata/records.ts'
import { failures, Problem } from '../problems.ts'
import type { OperatorStore } from '../services.ts'
import { inParallel } from './parallel.ts'

/** What an import did. Paths are those in the folder. */
export interface ImportReport {
  /** Files that were stored. */
  imported: number
  /** Of those, in bytes. */
  bytes: number
  /** Folders that were created. */
  folders: number
  /** Files that the account had already, with the same bytes. */
  unchanged: number
  /** The account has other bytes there, which stay. */
  readonly different: string[]
  /** Links, special files and names that are not UTF-8. */
  readonly left: string[]
  readonly failed: { readonly path: string, readonly reason: string }[]
}

interface ImportOptions {
  readonly account: AccountRecord
  /** The folder of this machine. */
  readonly folder: string
  /** The folder of the account, in NFC; empty for the root. */
  readonly to: string
  readonly onProgress: (done: number) => void
}

interface TreeEntry { readonly path: string, readonly kind: 'file' | 'folder' | 'other' }

const CHANGED = 'it changed while it was read'

/** One file or folder can't be imported, but others can. */
class Unfit extends Error {}

/**
 * Stores all files of a folder with their times, as their owner would upload them. Never replaces a file, so that it
 * can be repeated, also after it was interrupted. What was stored is read back and compared. Where the file system
 * can, the bytes are shared instead of copied.
 */
export async function importTree (
  store: OperatorStore, { account: { id }, folder, to, onProgress }: ImportOptions
): Promise<ImportReport> {
  const { metadata, accounts, blobs, files, folders } = store
  const report: ImportReport = {
    imported: 0, bytes: 0, folders: 0, unchanged: 0, different: [], left: [], failed: []
  }
  if (to !== '') await importFolder(to)
  let done = 0
  await inParallel(entriesOf(folder), async ({ path, kind }) => {
    try {
      if (kind === 'other') report.left.push(path)
      else await (kind === 'folder' ? importFolder(joinPath(to, path)) : importFile(path))
    } catch (error) {
      if (!isOfOne(error)) throw error
      report.failed.push({ path, reason: error.message })
    }
    onProgress(++done)
  })
  return report

  async function importFolder (name: string): Promise<void> {
    const { isNew } = await folders.create(await accounts.get(id), name)
    if (isNew) report.folders++
  }

  async function importFile (path: string): Promise<void> {
    const source = join(folder, path)
    const name = files.acceptName(joinPath(to, path))
    const current = await metadata.files.find(id, name)
    if (current !== undefined) {
      const isSame = (await lstat(source)).size === current.size && (await contentOf(source)).sha256 === current.sha256
      if (isSame) report.unchanged++
      else report.different.push(path)
      return
    }
    const file = await storeFile(source, name)
    const stored = await digestOf(await blobs.read({ id: file.blobId, size: file.size }))
    if (stored !== file.sha256) {
      await files.remove(id, name, { precondition: {}, isPermanent: true })
      throw new Unfit('what was stored has other bytes: look at the disk, or the bucket')
    }
    report.imported++
    report.bytes += file.size
  }

  async function storeFile (path: string, name: string): Promise<FileRecord> {
    const handle = await open(path, OPEN_FLAGS)
    try {
      const before = await handle.stat()
      if (!before.isFile()) throw new Unfit(CHANGED)
      const { mtimeMs, size } = before
      const bytes = handle.createReadStream({ highWaterMark: READ_BYTES, autoClose: false })
      async function * read () {
        yield { name, type: undefined, bytes, source: handle.fd }
        await requireUnchanged(handle, before)
      }
      const { file } = await files.store({
        // Its usage changes with every file.
        uploader: { owner: await accounts.get(id), linkId: null },
        upload: { name, minBytes: size, maxBytes: size, read, modifiedAt: () => timeOf(mtimeMs) }
      })
      return file
    } finally {
      await handle.close()
    }
  }
}

/** A link that takes the place of a file meanwhile must not lead elsewhere, nor a pipe be waited for. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** @throws Unfit if a file has changed since. */
async function requireUnchanged (handle: FileHandle, { mtimeMs, ctimeMs }: Stats): Promise<void> {
  const now = await handle.stat()
  if (now.mtimeMs !== mtimeMs || now.ctimeMs !== ctimeMs) throw new Unfit(CHANGED)
}

/** All that is in a folder and below, a folder before what is in it. */
async function * entriesOf (root: string, folder = ''): AsyncGenerator<TreeEntry> {
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    const path = joinPath(folder, entry.name)
    // Bytes that are no UTF-8 were replaced, so that nothing has this name.
    const isReadable = !entry.name.includes('\uFFFD') || await lstat(join(root, path)).then(() => true, () => false)
    const kind = isReadable ? entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other' : 'other'
    yield { path, kind }
    if (kind === 'folder') yield * entriesOf(root, path)
  }
}

/** Codes of the system that concern one file. */
const OF_ONE = ['EACCES', 'EPERM', 'ENOENT', 'ELOOP']

function isOfOne (error: unknown): error is Error {
  if (error instanceof Problem) return failures[error.code].status < 500
  return error instanceof Unfit || OF_ONE.includes(String((error as NodeJS.ErrnoException).code))
}

/** Milliseconds since 1970, within what RFC 3339 can express. */
function timeOf (milliseconds: number): number {
  return Math.min(Math.max(Math.floor(milliseconds), Date.parse('0000-01-01')), Date.parse('9999-12-31'))
}
