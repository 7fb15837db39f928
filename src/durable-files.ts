import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { Problem } from './errors.ts'

/** Bytes read at a time where a file is read whole. */
export const READ_BYTES = 1024 ** 2

/** No room on the disk, or for the operator's own quota, or for one file of that size. */
const OUT_OF_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

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

/** Says of a file system's failure what a client can be told. */
export function failAsStorage (error: unknown): never {
  if (OUT_OF_ROOM.has(String((error as NodeJS.ErrnoException).code))) throw new Problem('storage_full', { cause: error })
  throw error
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
