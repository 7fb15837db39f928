import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Piece } from '../blob-store.ts'

/** Pieces of an open file as one stream. It fails, rather than ends, if the file is shorter than expected. */
export class BlobReadStream extends Readable {
  readonly #handle: FileHandle
  readonly #pieces: Piece[]
  readonly #chunkBytes: () => number

  /** Reads at most `chunkBytes()` at a time. */
  constructor (handle: FileHandle, pieces: Piece[], chunkBytes: () => number) {
    // A chunk of any size fills the buffer: one is read ahead while another is sent.
    super({ highWaterMark: 1 })
    this.#handle = handle
    this.#chunkBytes = chunkBytes
    this.#pieces = pieces.filter(piece => typeof piece === 'string' || piece.start <= piece.end)
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
    const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafeSlow(length), 0, length, start)
    if (bytesRead === 0) throw new Error('the blob is shorter than it was when it was opened')
    const next = start + bytesRead
    if (next <= end) this.#pieces.unshift({ start: next, end })
    return buffer.subarray(0, bytesRead)
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#handle.close().then(() => callback(error), callback)
  }
}
