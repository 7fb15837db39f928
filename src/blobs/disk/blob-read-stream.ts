import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Piece } from '../blob-store.ts'

/**
 * When piped, a chunk of this many bytes or more is read into memory that an earlier chunk used. 256 MiB took 100 to
 * 130 ms of CPU time, and 150 to 510 ms with fresh memory, which the kernel clears page by page. Any destination asks
 * for a pause after a chunk of this size, but may still hold many smaller ones.
 */
const REUSED_BYTES = 64 * 1024

/** One is sent, one waits to be sent, and one is being read. */
const REUSED_BUFFERS = 3

/** Pieces of an open file as one stream. It fails, rather than ends, if the file is shorter than expected. */
export class BlobReadStream extends Readable {
  readonly #handle: FileHandle
  readonly #pieces: Piece[]
  readonly #chunkBytes: () => number
  readonly #buffers: Buffer[] = []
  #isPiped = false

  /** Reads at most `chunkBytes()` at a time. */
  constructor (handle: FileHandle, pieces: readonly Piece[], chunkBytes: () => number) {
    // A chunk of any size fills the buffer: one is read ahead while another is sent.
    super({ highWaterMark: 1 })
    this.#handle = handle
    this.#chunkBytes = chunkBytes
    this.#pieces = pieces.filter(piece => typeof piece === 'string' || piece.start <= piece.end)
  }

  /** The destination is done with a chunk when it asks for another one; any other reader may keep all of them. */
  override pipe<T extends NodeJS.WritableStream> (destination: T, options?: { end?: boolean }): T {
    this.#isPiped = true
    return super.pipe(destination, options)
  }

  override _read (): void {
    this.#pushNext().catch((error: Error) => this.destroy(error))
  }

  async #pushNext (): Promise<void> {
    const piece = this.#pieces.shift()
    const chunk = piece === undefined ? undefined : await this.#chunkOf(piece)
    const isLast = this.#pieces.length === 0
    if (chunk !== undefined) this.push(chunk)
    // Without another read, so that the file is closed as soon as it was sent.
    if (isLast) this.push(null)
  }

  /** The next bytes of a piece; what remains of it becomes the next piece. */
  async #chunkOf (piece: Piece): Promise<Buffer> {
    if (typeof piece === 'string') return Buffer.from(piece)
    const { start, end } = piece
    const length = Math.min(this.#chunkBytes(), end - start + 1)
    const { bytesRead, buffer } = await this.#handle.read(this.#bufferOf(length), 0, length, start)
    if (bytesRead === 0) throw new Error('the blob is shorter than it was when it was opened')
    const next = start + bytesRead
    if (next <= end) this.#pieces.unshift({ start: next, end })
    return buffer.subarray(0, bytesRead)
  }

  /** Memory for `length` bytes or more. */
  #bufferOf (length: number): Buffer {
    if (!this.#isPiped || length < REUSED_BYTES) return Buffer.allocUnsafeSlow(length)
    const oldest = this.#buffers.length < REUSED_BUFFERS ? undefined : this.#buffers.shift()
    const buffer = oldest !== undefined && oldest.length >= length ? oldest : Buffer.allocUnsafeSlow(length)
    this.#buffers.push(buffer)
    return buffer
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#handle.close().then(() => callback(error), callback)
  }
}
