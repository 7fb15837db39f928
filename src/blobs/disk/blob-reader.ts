import * as fs from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { LRUCache } from 'lru-cache'
import { failAsDamaged } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import { cutPieces, type Piece, type ReadBlob, wholeOf } from '../blob-store.ts'
import { BlobReadStream } from './blob-read-stream.ts'

/** Size of one read, if few blobs are read: 256 MiB took 100 ms of CPU time, and 130 ms with 256 KiB. */
const MAX_READ_BYTES = 512 * 1024

/** Size of one read, if many blobs are read. */
const MIN_READ_BYTES = 64 * 1024

/**
 * The reads of concurrent readers add up to this: a client that stops reading keeps up to three chunks, and 400 of them
 * kept 819 MB with chunks of 1 MiB.
 */
const READERS_BYTES = 8 * 1024 ** 2

/** A blob of at most this size is read at once: a stream took twice the CPU time for 4 KiB. */
const SMALL_BYTES = 64 * 1024

/**
 * How many files are remembered as recently read. Their bytes are usually in the page cache, so that the event loop
 * reads them itself: a download of 4 KiB takes 79 µs of CPU time, and 125 µs with the thread pool. If the kernel has
 * dropped them, the event loop waits for one disk read.
 */
const MAX_RECENTLY_READ = 1000

/** Runs an operation on the file of a blob, wherever it is. */
type AtItsPath = <T>(id: string, operation: (path: string) => Promise<T>) => Promise<T>

/** Returns a function that reads blobs, like {@link BlobStore.read}. */
export function createReader (atItsPath: AtItsPath) {
  const readSmallFile = createSmallFileReader()
  let readers = 0

  /** All bytes of a small blob. Reads one byte more, to notice a longer file. */
  async function readSmall (id: string, size: number): Promise<Buffer> {
    const bytes = await atItsPath(id, path => readSmallFile(id, path, size + 1)).catch(failAsDamaged)
    checkSize(id, { size: bytes.length }, size)
    return bytes
  }

  async function openStream (id: string, size: number, pieces: readonly Piece[]): Promise<BlobReadStream> {
    const handle = await atItsPath(id, path => open(path)).catch(failAsDamaged)
    try {
      checkSize(id, await handle.stat(), size)
    } catch (error) {
      await handle.close()
      throw error
    }
    readers++
    const chunkBytes = () => Math.max(MIN_READ_BYTES, Math.min(MAX_READ_BYTES, Math.floor(READERS_BYTES / readers)))
    return new BlobReadStream(handle, pieces, chunkBytes).once('close', () => { readers-- })
  }

  // Without a digest: file systems and disks have checksums of their own, and the digest would take most of the CPU
  // time of a download.
  return async ({ id, size }: ReadBlob, pieces: readonly Piece[] = wholeOf(size)): Promise<BlobReadStream | Buffer> =>
    size <= SMALL_BYTES ? cutPieces(await readSmall(id, size), pieces) : openStream(id, size, pieces)
}

export function checkSize (id: string, stored: { size: number }, size: number): void {
  if (stored.size === size) return
  throw new Problem('file_damaged', { cause: new Error(`blob ${id} has ${stored.size} bytes, not ${size}`) })
}

const openInPool = promisify(fs.open)
const readInPool = promisify(fs.read)

/** Reads at most `length` bytes of the file at `path`. `id` names its content, which never changes. */
type SmallFileReader = (id: string, path: string, length: number) => Promise<Buffer>

export function createSmallFileReader (): SmallFileReader {
  const recentlyRead = new LRUCache<string, true>({ max: MAX_RECENTLY_READ })

  return async (id, path, length) => {
    try {
      const bytes = recentlyRead.has(id) ? readBlocking(path, length) : await readByThread(path, length)
      // Not before: another request for the same file would block the event loop while the disk is slow.
      recentlyRead.set(id, true)
      return bytes
    } catch (error) {
      // The next read may wait for a failing disk.
      recentlyRead.delete(id)
      throw error
    }
  }
}

function readBlocking (path: string, length: number): Buffer {
  const descriptor = fs.openSync(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(length)
    return buffer.subarray(0, fs.readSync(descriptor, buffer, 0, length, 0))
  } finally {
    fs.closeSync(descriptor)
  }
}

/** By its descriptor: 4 KiB took 55 µs of CPU time, and 80 µs by a `FileHandle`. */
async function readByThread (path: string, length: number): Promise<Buffer> {
  const descriptor = await openInPool(path, 'r')
  try {
    const { bytesRead, buffer } = await readInPool(descriptor, Buffer.allocUnsafe(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    // Nothing is left to write, so that this waits for nothing; another thread would cost more.
    fs.closeSync(descriptor)
  }
}
