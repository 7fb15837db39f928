import type { FileHandle } from 'node:fs/promises'
import type { Room } from '../blob-store.ts'
import type { FreeSpace } from './free-space.ts'

/** Size of one write of a single upload: 1.7 times as fast as 64 KiB, which is what a socket delivers at a time. */
const MAX_WRITE_BYTES = 1024 ** 2

/** Concurrent uploads share `MAX_WRITE_BYTES`, but no write is smaller than this. */
const MIN_WRITE_BYTES = 256 * 1024

/** Chunks in one write, the limit of `writev`. Single bytes from a client need 200 MB of objects for a megabyte. */
const MAX_WRITE_CHUNKS = 1024

interface BatchWriterOptions {
  readonly freeSpace: FreeSpace
  /** The number of files that are written now. */
  readonly countWriters: () => number
  readonly room: Room
}

/** Writes chunks to the end of a file, in batches. */
export class BatchWriter {
  readonly #handle: FileHandle
  readonly #options: BatchWriterOptions
  #chunks: Uint8Array[] = []
  #chunkBytes = 0
  #writing: Promise<void> = Promise.resolve()
  #written = 0

  constructor (handle: FileHandle, options: BatchWriterOptions) {
    this.#handle = handle
    this.#options = options
  }

  /** The bytes of all batches that were written whole. */
  get written (): number {
    return this.#written
  }

  /** A promise if the caller must wait before the next chunk: one batch is written while the next is collected. */
  add (chunk: Uint8Array): Promise<void> | undefined {
    this.#chunks.push(chunk)
    this.#chunkBytes += chunk.length
    const fullBytes = Math.max(MIN_WRITE_BYTES, MAX_WRITE_BYTES / this.#options.countWriters())
    return this.#chunkBytes >= fullBytes || this.#chunks.length >= MAX_WRITE_CHUNKS ? this.#enqueue() : undefined
  }

  /** Writes what was added so far. */
  async flush (): Promise<void> {
    if (this.#chunkBytes > 0) void this.#enqueue()
    await this.#writing
  }

  /** Waits for the writes in progress, and leaves the rest. */
  waitForWrites (): Promise<void> {
    return this.#writing
  }

  /** Returns the write before. */
  #enqueue (): Promise<void> {
    const before = this.#writing
    const [batch, bytes] = [this.#chunks, this.#chunkBytes]
    this.#chunks = []
    this.#chunkBytes = 0
    this.#writing = before.then(() => this.#writeBatch(batch, bytes)).then(() => { this.#written += bytes })
    this.#writing.catch(() => {})
    return before
  }

  /** A short write means that the disk is full; the next one then fails, and begins where the short one ended. */
  async #writeBatch (batch: Uint8Array[], bytes: number): Promise<void> {
    const { freeSpace, room } = this.#options
    for (let done = 0; done < bytes;) {
      const rest = () => Buffer.concat(batch).subarray(done)
      const write = async () => done === 0 ? this.#handle.writev(batch) : this.#handle.write(rest())
      const { bytesWritten } = await freeSpace.during(bytes - done, write, room)
      done += bytesWritten
    }
  }
}
