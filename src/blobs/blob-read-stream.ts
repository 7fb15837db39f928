import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Piece } from './blob-store.ts'

/** Bytes read at a time. With 256 KiB a download of 1 GiB was no faster, and its garbage took 40 MB more between two collections. */
const READ_BYTES = 64 * 1024

/** Pieces of an open file as one stream that fails, rather than ends, where the file is shorter than it was said to be. */
export class BlobReadStream extends Readable {
  readonly #handle: FileHandle
  readonly #pieces: Piece[]

  constructor (handle: FileHandle, pieces: Piece[]) {
    super({ highWaterMark: READ_BYTES })
    this.#handle = handle
    this.#pieces = pieces.filter(piece => typeof piece === 'string' || piece.start <= piece.end)
  }

  override _read (): void {
    const piece = this.#pieces.shift()
    if (piece === undefined) this.push(null)
    else if (typeof piece === 'string') this.push(piece)
    else this.#readRange(piece.start, piece.end)
  }

  #readRange (start: number, end: number): void {
    const length = Math.min(READ_BYTES, end - start + 1)
    this.#handle.read(Buffer.allocUnsafeSlow(length), 0, length, start).then(({ bytesRead, buffer }) => {
      if (bytesRead === 0) {
        this.destroy(new Error('the blob is shorter than it was when it was opened'))
        return
      }
      const next = start + bytesRead
      if (next <= end) this.#pieces.unshift({ start: next, end })
      this.push(buffer.subarray(0, bytesRead))
    }, (error: Error) => this.destroy(error))
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#handle.close().then(() => callback(error), callback)
  }
}
