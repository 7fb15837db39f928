import { open, type FileHandle } from 'node:fs/promises'
import { failAsDamaged } from '../../data-folder/durable-files.ts'
import { cutPieces, type Piece, type StoredBlob, wholeOf } from '../blob-store.ts'
import { BlobReadStream } from './blob-read-stream.ts'
import { checkSize } from './links.ts'
import { createSmallFileReader } from './small-file-reader.ts'

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

/** Runs an operation on the file of a blob, wherever it is. */
type AtItsPath = <T>(id: string, operation: (path: string) => Promise<T>) => Promise<T>

/** Reads blobs. */
export class BlobReader {
  readonly #atItsPath: AtItsPath
  readonly #readSmallFile = createSmallFileReader()
  #readers = 0

  constructor (atItsPath: AtItsPath) {
    this.#atItsPath = atItsPath
  }

  /** Like {@link BlobStore.read}. */
  async read (
    { id, size }: Pick<StoredBlob, 'id' | 'size'>, pieces: readonly Piece[] = wholeOf(size)
  ): Promise<BlobReadStream | Buffer> {
    return size <= SMALL_BYTES ? cutPieces(await this.#readSmall(id, size), pieces) : this.#openStream(id, size, pieces)
  }

  #openFile (id: string): Promise<FileHandle> {
    return this.#atItsPath(id, path => open(path)).catch(failAsDamaged)
  }

  /** All bytes of a small blob. Reads one byte more, to notice a longer file. */
  async #readSmall (id: string, size: number): Promise<Buffer> {
    const bytes = await this.#atItsPath(id, path => this.#readSmallFile(id, path, size + 1)).catch(failAsDamaged)
    checkSize(id, { size: bytes.length }, size)
    return bytes
  }

  async #openStream (id: string, size: number, pieces: readonly Piece[]): Promise<BlobReadStream> {
    const handle = await this.#openFile(id)
    try {
      checkSize(id, await handle.stat(), size)
    } catch (error) {
      await handle.close()
      throw error
    }
    this.#readers++
    const reader = new BlobReadStream(handle, pieces, () =>
      Math.max(MIN_READ_BYTES, Math.min(MAX_READ_BYTES, Math.floor(READERS_BYTES / this.#readers))))
    return reader.once('close', () => { this.#readers-- })
  }
}
