import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { Problem } from '../../problems.ts'

/** Bytes read at a time where a file is read whole. */
export const READ_BYTES = 1024 ** 2

const { EDQUOT, EFBIG, EMFILE, ENFILE, ENOSPC } = constants.errno

/** No room on the disk, in the disk quota of the user, or for one file of that size. By number: Node.js has no name for EDQUOT. */
const OUT_OF_ROOM = new Set([ENOSPC, EDQUOT, EFBIG])

/** The process, or the machine, has no file descriptor left. */
const OUT_OF_DESCRIPTORS = new Set([EMFILE, ENFILE])

/** What a file holds: its length in bytes, and its SHA-256 as 64 lower-case hex digits. */
export interface Content { readonly size: number, readonly sha256: string }

/**
 * Writes a file, mode 0600, that is at `path` whole and on stable storage or not at all; what was there before stays until
 * then. Its name lasts once the folder is synced. @throws storage_full.
 */
export async function writeDurably (path: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Content> {
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

async function writeNew (path: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Content> {
  const hash = createHash('sha256')
  let size = 0
  const handle = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of bytes) {
      hash.update(chunk)
      size += chunk.length
      // Writes on where a write was short.
      await handle.appendFile(chunk)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { size, sha256: hash.digest('hex') }
}

/** Says of a file system's failure what a client can be told. @throws storage_full, overloaded, or the failure itself. */
export function failAsStorage (error: unknown): never {
  if (OUT_OF_ROOM.has(errorNumber(error))) throw new Problem('storage_full', { cause: error })
  throw overloadOf(error) ?? error
}

/** Says that a blob can't be read. If the process has no file descriptor left, that says nothing about the blob. @throws file_damaged, overloaded. */
export function failAsDamaged (error: unknown): never {
  throw overloadOf(error) ?? new Problem('file_damaged', { cause: error })
}

/** The failure `overloaded` where `error` says that no file descriptor is left, else undefined. */
export function overloadOf (error: unknown): Problem | undefined {
  return OUT_OF_DESCRIPTORS.has(errorNumber(error)) ? new Problem('overloaded', { detail: 'The server has too many files and connections open.', headers: { 'retry-after': '1' }, cause: error }) : undefined
}

function errorNumber (error: unknown): number {
  return -Number((error as NodeJS.ErrnoException).errno)
}

/** Makes a folder, mode 0700, and what is missing above it; their names are on stable storage when it returns. Tells whether there was something to make. */
export async function makeFolder (path: string): Promise<boolean> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return false
  // The name of a folder is in the one above it.
  for (let folder = path; folder.length >= first.length; folder = dirname(folder)) await sync(dirname(folder))
  return true
}

/** What is in a file; undefined where there is none. */
export async function readIfThere (path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/** Reads a file to its end, and tells its length and digest. */
export async function contentOf (path: string): Promise<Content> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
    hash.update(chunk as Buffer)
    size += (chunk as Buffer).length
  }
  return { size, sha256: hash.digest('hex') }
}

/** Puts on stable storage what was written to a file, or what names were made, moved and removed in a folder. */
export async function sync (path: string): Promise<void> {
  const handle = await open(path)
  await handle.sync().finally(() => handle.close())
}

export interface SharedSync {
  /**
   * Resolves when all that was written before the call is on stable storage. Calls that arrive together are one; a call
   * that arrives while a sync runs waits for the next one, for the running one may have missed it.
   */
  (): Promise<void>
  /** Syncs a last time and lets the file go. */
  close (): Promise<void>
}

/** Opens a file or folder so that callers share its costly syncs; `sync` does one. */
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
