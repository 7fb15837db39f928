import type { FileHandle } from 'node:fs/promises'
import type { MakeRoom } from '../blob-store.ts'
import type { FreeSpace } from './free-space.ts'

/** Size of one write if there is one upload: 1.7 times as fast as writes of 64 KiB, which is what a socket delivers at a time. */
const MAX_WRITE_BYTES = 1024 ** 2

/** Concurrent uploads share `MAX_WRITE_BYTES`, but no write is smaller than this. */
const MIN_WRITE_BYTES = 256 * 1024

/** Chunks in one write, the limit of `writev`: a client that sends single bytes would need 200 MB of objects for a megabyte. */
const MAX_WRITE_CHUNKS = 1024

interface BatchWriterOptions {
  readonly freeSpace: FreeSpace
  /** The number of files that are written now. */
  readonly countWriters: () => number
  readonly makeRoom: MakeRoom | undefined
}

/** Writes chunks to the end of a file, in batches. */
export interface BatchWriter {
  /** A promise if the caller must wait before the next chunk: one batch is written while the next is collected, never more. */
  add (chunk: Uint8Array): Promise<void> | undefined
  /** Writes what was added so far. */
  flush (): Promise<void>
  /** Waits for the writes in progress, and leaves the rest. */
  waitForWrites (): Promise<void>
  /** The bytes of all batches that were written whole. */
  written (): number
}

export function createBatchWriter (handle: FileHandle, { freeSpace, countWriters, makeRoom }: BatchWriterOptions): BatchWriter {
  let chunks: Uint8Array[] = []
  let chunkBytes = 0
  let writing: Promise<void> = Promise.resolve()
  let written = 0

  /** Returns the write before. */
  function enqueue (): Promise<void> {
    const before = writing
    const [batch, bytes] = [chunks, chunkBytes]
    chunks = []
    chunkBytes = 0
    writing = before.then(() => writeBatch(batch, bytes)).then(() => { written += bytes })
    writing.catch(() => {})
    return before
  }

  /** A short write means that the disk is full; the next one then fails, and begins where the short one ended. */
  async function writeBatch (batch: Uint8Array[], bytes: number): Promise<void> {
    for (let done = 0; done < bytes;) {
      const write = async () => done === 0 ? handle.writev(batch) : handle.write(Buffer.concat(batch).subarray(done))
      const { bytesWritten } = await freeSpace.during(bytes - done, write, makeRoom)
      done += bytesWritten
    }
  }

  return {
    add (chunk) {
      chunks.push(chunk)
      chunkBytes += chunk.length
      const isFull = chunkBytes >= Math.max(MIN_WRITE_BYTES, MAX_WRITE_BYTES / countWriters()) || chunks.length >= MAX_WRITE_CHUNKS
      return isFull ? enqueue() : undefined
    },
    async flush () {
      if (chunkBytes > 0) void enqueue()
      await writing
    },
    waitForWrites: () => writing,
    written: () => written
  }
}
