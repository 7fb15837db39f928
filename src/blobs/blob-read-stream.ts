import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'

/** Bytes read at a time. Larger reads gained nothing on a cached file; smaller ones cost one trip to the thread pool each. */
const READ_BYTES = 256 * 1024

/** A range of an open file as a stream that fails, rather than ends, where the file is shorter than it was said to be. */
export class BlobReadStream extends Readable {
  readonly #handle: FileHandle
  readonly #end: number
  #position: number

  constructor (handle: FileHandle, { start, end }: { start: number, end: number }) {
    super({ highWaterMark: READ_BYTES })
    this.#handle = handle
    this.#position = start
    this.#end = end
  }

  override _read (): void {
    const length = Math.min(READ_BYTES, this.#end - this.#position + 1)
    if (length <= 0) {
      this.push(null)
      return
    }
    this.#handle.read(Buffer.allocUnsafeSlow(length), 0, length, this.#position).then(({ bytesRead, buffer }) => {
      if (bytesRead === 0) {
        this.destroy(new Error('the blob is shorter than it was when it was opened'))
        return
      }
      this.#position += bytesRead
      this.push(bytesRead === length ? buffer : buffer.subarray(0, bytesRead))
    }, (error: Error) => this.destroy(error))
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#handle.close().then(() => callback(error), callback)
  }
}
