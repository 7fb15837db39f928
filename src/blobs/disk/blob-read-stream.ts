import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Piece } from '../blob-store.ts'
import type { FastLane } from './fast-lane.ts'

/** Bytes read at a time, unless a client takes them faster. */
const READ_BYTES = 64 * 1024

/** Bytes read at a time for a client that waits for them: 1,690 MiB a second on one stream of a loopback, where 64 KiB gave 750. */
const MAX_READ_BYTES = 1024 * 1024

/** A client that takes longer for a chunk gets small ones: of the largest it takes less than 10 MiB a second. */
const SLOW_MILLISECONDS = 100

/**
 * Downloads that read large chunks at the same time. A client that stops taking them keeps two chunks for as long as it
 * likes, for what was handed to the kernel can't be taken back: 400 such clients kept 819 MB.
 */
export const FAST_DOWNLOADS = 16

/** Chunks that are on their way at the most when piped: one is read while another is sent. */
const BUFFERS = 2

type Allocate = (length: number) => Buffer

/** Pieces of an open file as one stream that fails, rather than ends, where the file is shorter than it was said to be. */
export class BlobReadStream extends Readable {
  readonly #handle: FileHandle
  readonly #pieces: Piece[]
  readonly #fastLane: FastLane
  #isFast = false

  constructor (handle: FileHandle, pieces: Piece[], fastLane: FastLane) {
    super({ highWaterMark: READ_BYTES })
    this.#handle = handle
    this.#fastLane = fastLane
    this.#pieces = pieces.filter(piece => typeof piece === 'string' || piece.start <= piece.end)
  }

  /**
   * As every stream pipes, but into the same few buffers again and again: each is filled anew when `destination` has let
   * go of it. Fresh ones are zeroed by the kernel page by page and live until the garbage is collected, by then 60 MB.
   */
  override pipe<T extends NodeJS.WritableStream> (destination: T): T {
    destination.once('close', () => this.destroy())
    this.#pump(destination).catch((error: Error) => this.destroy(error))
    return destination
  }

  async #pump (destination: NodeJS.WritableStream): Promise<void> {
    const buffers: Buffer[] = []
    const writes: Promise<boolean>[] = []
    let size = READ_BYTES
    let unwritten = 0
    for (let turn = 0; ; turn++) {
      const slot = turn % BUFFERS
      const begun = performance.now()
      if (await writes[slot] === false) {
        // It was closed before it was piped to, and tells nobody any more.
        this.destroy()
        return
      }
      if (this.#isFast && performance.now() - begun > SLOW_MILLISECONDS) {
        this.#slowDown()
        size = READ_BYTES
        buffers.length = 0
      }
      const chunk = await this.#next(size, length => {
        let buffer = buffers[slot]
        if (buffer === undefined || buffer.length < length) buffer = buffers[slot] = Buffer.allocUnsafeSlow(length)
        return buffer
      })
      if (chunk === null) break
      if (unwritten === 0 && this.#speedUp()) size = Math.min(size * 2, MAX_READ_BYTES)
      unwritten++
      writes[slot] = new Promise(resolve => {
        destination.write(chunk, error => {
          unwritten--
          resolve(error == null)
        })
      })
    }
    destination.end()
    this.push(null)
    this.resume()
  }

  #speedUp (): boolean {
    this.#isFast ||= this.#fastLane.enter()
    return this.#isFast
  }

  #slowDown (): void {
    if (this.#isFast) this.#fastLane.leave()
    this.#isFast = false
  }

  override _read (): void {
    this.#next(READ_BYTES, Buffer.allocUnsafeSlow).then(chunk => this.push(chunk), (error: Error) => this.destroy(error))
  }

  /** The next chunk of the pieces, of `size` bytes at the most, or null behind the last; `allocate` gives memory of a length or more. */
  async #next (size: number, allocate: Allocate): Promise<Buffer | null> {
    const piece = this.#pieces.shift()
    if (piece === undefined) return null
    if (typeof piece === 'string') return Buffer.from(piece)
    const { start, end } = piece
    const length = Math.min(size, end - start + 1)
    const { bytesRead, buffer } = await this.#handle.read(allocate(length), 0, length, start)
    if (bytesRead === 0) throw new Error('the blob is shorter than it was when it was opened')
    const next = start + bytesRead
    if (next <= end) this.#pieces.unshift({ start: next, end })
    return buffer.subarray(0, bytesRead)
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#slowDown()
    this.#handle.close().then(() => callback(error), callback)
  }
}
