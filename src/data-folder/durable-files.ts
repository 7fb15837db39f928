import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { type FileHandle, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { Problem, storageFull } from '../problems.ts'

/** Size of one read when a whole file is read. */
export const READ_BYTES = 1024 ** 2

const { EDQUOT, EFBIG, EMFILE, ENFILE, ENOSPC } = constants.errno

/**
 * The disk or the disk quota is full, or the file is too large for the file system. By number, because Node.js has no
 * name for EDQUOT.
 */
const OUT_OF_SPACE = new Set([ENOSPC, EDQUOT, EFBIG])

/** The process or the machine has no file descriptors left. */
const OUT_OF_DESCRIPTORS = new Set([EMFILE, ENFILE])

/** Size of a file in bytes, and its SHA-256 as 64 lower-case hex digits. */
export interface FileDigest { readonly size: number, readonly sha256: string }

/**
 * Writes a file, mode 0600, atomically: it is at `path` completely and on stable storage, or what was there before
 * stays. The caller syncs the folder, to make the name durable.
 * @throws storage_full.
 */
export async function writeDurably (
  path: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
): Promise<FileDigest> {
  const draft = `${path}.new`
  await rm(draft, { force: true })
  try {
    const content = await writeNew(draft, bytes)
    await rename(draft, path)
    return content
  } catch (error) {
    await rm(draft, { force: true })
    return failAsStorage(error)
  }
}

/**
 * Writes a new file, mode 0600, on stable storage. If that fails, or `bytes` do, there is none.
 * @throws EEXIST if there is one; it stays as it is.
 */
export async function writeNew (
  path: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
): Promise<FileDigest> {
  const handle = await open(path, 'wx', 0o600)
  return writeAll(handle, bytes).catch(async (error: unknown) => {
    await rm(path, { force: true })
    throw error
  })
}

async function writeAll (
  handle: FileHandle, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
): Promise<FileDigest> {
  const hash = createHash('sha256')
  let size = 0
  try {
    for await (const chunk of bytes) {
      hash.update(chunk)
      size += chunk.length
      // Continues after a short write.
      await handle.appendFile(chunk)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { size, sha256: hash.digest('hex') }
}

/** Translates an error of the file system. @throws storage_full, overloaded, or the error itself. */
export function failAsStorage (error: unknown): never {
  if (OUT_OF_SPACE.has(errorNumber(error))) throw storageFull({ resource: 'disk', cause: error })
  throw overloadOf(error) ?? error
}

/** Whether the disk, or the disk quota, had no space. */
export function isDiskFull (error: unknown): boolean {
  return [ENOSPC, EDQUOT].includes(errorNumber(error))
}

/**
 * Translates the error of a blob that can't be opened. Without a free file descriptor the blob may be intact.
 * @throws file_damaged, overloaded.
 */
export function failAsDamaged (error: unknown): never {
  throw overloadOf(error) ?? new Problem('file_damaged', { cause: error })
}

/** The problem `overloaded` if `error` says that no file descriptor is left, else undefined. */
export function overloadOf (error: unknown): Problem | undefined {
  if (!OUT_OF_DESCRIPTORS.has(errorNumber(error))) return undefined
  const detail = 'The server has too many files and connections open.'
  return new Problem('overloaded', { detail, retrySeconds: 1, cause: error })
}

function errorNumber (error: unknown): number {
  return -Number((error as NodeJS.ErrnoException).errno)
}

/**
 * Creates a folder, mode 0700, with its missing parents, all on stable storage. Returns whether something was created.
 * One at a time: with `recursive`, Node 20 never returns where a file system allows no folders, such as /proc.
 */
export async function makeFolder (path: string): Promise<boolean> {
  const isNew = await makeOne(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    await makeFolder(dirname(path))
    return makeOne(path)
  })
  // The name of a folder is stored in its parent.
  if (isNew) await sync(dirname(path))
  return isNew
}

/** Returns false if the folder exists. */
async function makeOne (path: string): Promise<boolean> {
  return mkdir(path, 0o700).then(() => true, async (error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST' && (await stat(path)).isDirectory()) return false
    throw error
  })
}

/** The content of a file; undefined if it does not exist. */
export async function readIfThere (path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/**
 * Gives a file another name, if it is there and the file system can: not to another file system, without support for
 * links, or beyond their maximum number.
 */
export async function isLinked (path: string, newPath: string): Promise<boolean> {
  return link(path, newPath).then(() => true, () => false)
}

const syncDescriptor = promisify(fs.fsync)

/** Reads a whole file and returns its size and digest. */
export async function contentOf (path: string): Promise<FileDigest> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of fs.createReadStream(path, { highWaterMark: READ_BYTES })) {
    hash.update(chunk as Buffer)
    size += (chunk as Buffer).length
  }
  return { size, sha256: hash.digest('hex') }
}

/** Syncs a file, or the names in a folder, to stable storage. */
export async function sync (path: string): Promise<void> {
  // Opened in the event loop: waking a thread took longer, and the kernel has just looked up the path.
  const descriptor = fs.openSync(path, 'r')
  try {
    await syncDescriptor(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

export interface SharedSync {
  /**
   * Resolves when everything written before the call is on stable storage. Concurrent calls share one sync. A call
   * during a sync waits for the next one, because the running one may have missed its writes.
   */
  (): Promise<void>
  /** Syncs a last time and closes the file. */
  close (): Promise<void>
}

/** Opens a file or folder so that callers share its expensive syncs. `sync` does one. */
export async function openSharedSync (path: string, sync: (handle: FileHandle) => Promise<void>): Promise<SharedSync> {
  const handle = await open(path)
  let running: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined

  async function run (): Promise<void> {
    next = undefined
    await sync(handle)
  }

  function share (): Promise<void> {
    if (next === undefined) {
      next = running.catch(() => {}).then(run)
      running = next
    }
    return next
  }

  return Object.assign(share, {
    async close () {
      await share().catch(() => {})
      await handle.close()
    }
  })
}
