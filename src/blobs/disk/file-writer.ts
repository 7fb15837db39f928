import { constants, copyFile, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { failAsDamaged, makeFolder, sync } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import type { DiskAllowance, Draft, Write } from '../blob-store.ts'
import type { BlobWriter } from '../blob-writer.ts'
import type { FreeSpace } from './free-space.ts'

const APPEND = constants.O_WRONLY | constants.O_APPEND
const CREATE = APPEND | constants.O_CREAT | constants.O_TRUNC
const CLONE = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE

/** What a file takes before its first byte. */
const FILE_BYTES = 4096

/** Size of one write of a single upload: 1.7 times as fast as 64 KiB, which is what a socket delivers at a time. */
const MAX_WRITE_BYTES = 1024 ** 2

/** Concurrent uploads share `MAX_WRITE_BYTES`, but no write is smaller than this. */
const MIN_WRITE_BYTES = 256 * 1024

/** Chunks in one write, the limit of `writev`. Single bytes from a client need 200 MB of objects for a megabyte. */
const MAX_WRITE_CHUNKS = 1024

/** Of a draft, so many bytes are synced while more arrive: what is left for a checkpoint then takes little time. */
const SYNC_BYTES = 16 * 1024 ** 2

/** Where the file of a blob is made, and where it is once it is committed. A draft is moved before its first byte. */
export interface BlobPaths {
  readonly pending: string
  readonly path: string
}

export interface FileWriting extends DiskAllowance {
  readonly freeSpace: FreeSpace
  /** The number of files that are written now. */
  readonly countWriters: () => number
  /** Syncs the names of pending files. */
  readonly syncPending: () => Promise<void>
}

/** Runs what makes a file, again if the disk has space for it later. */
export function createFile<T> (make: () => Promise<T>, { freeSpace, ...allowance }: FileWriting): Write<T> {
  return freeSpace.again(() => freeSpace.during(FILE_BYTES, make, allowance), () => FILE_BYTES)
}

/** Opens the writer of a new blob. */
export async function * openPending ({ pending }: BlobPaths, writing: FileWriting): Write<BlobWriter> {
  const handle = yield * createFile(() => open(pending, 'wx', 0o600), writing)
  return new FileWriter(handle, { pending, offset: 0 }, writing)
}

/** A writer of a new blob, and the bytes to be written. */
interface OpenBlob { readonly writer: BlobWriter, readonly bytes: AsyncIterable<Uint8Array> }

/** How a blob is written. `source`: descriptor of an open file that has its bytes. */
interface SharedWriting extends FileWriting { readonly source?: number | undefined }

/* c8 ignore start: each file system takes one of the branches; test/proof/reflinks.proof.ts runs the others. */
/**
 * Opens the writer of a new blob. With a `source`, the blob shares its blocks with that until one of the two changes
 * (ioctl_ficlone(2)): then nothing is written, and the bytes are those of the blob. Not where the file system can't, or
 * the system has no /proc.
 */
export async function * openShared (
  paths: BlobPaths, bytes: AsyncIterable<Uint8Array>, { source, ...writing }: SharedWriting
): Write<OpenBlob> {
  const { pending } = paths
  // By its descriptor: another file may be at its path by now.
  const isCloned = source !== undefined &&
    await copyFile(`/proc/self/fd/${source}`, pending, CLONE).then(() => true, () => false)
  if (!isCloned) return { writer: yield * openPending(paths, writing), bytes }
  const handle = await open(pending, 'r+')
  await handle.chmod(0o600)
  const writer = Object.assign(new FileWriter(handle, { pending, offset: 0 }, writing), { add: () => undefined })
  return { writer, bytes: handle.createReadStream({ start: 0, autoClose: false }) }
}
/* c8 ignore stop */

/**
 * Opens the writer of a draft, at its end. Its file is in the place of a blob: only metadata knows that it belongs to
 * an upload. So nothing moves when it becomes a blob, and a start has nothing to look for.
 */
export async function * openDraft (paths: BlobPaths, { size: offset }: Draft, writing: FileWriting): Write<BlobWriter> {
  const handle = offset === 0 ? yield * createDraft(paths, writing) : await openAt(paths.path, offset)
  return new FileWriter(handle, { offset }, writing)
}

/** Opens a file without what was written beyond `size`: it was not saved. */
async function openAt (path: string, size: number): Promise<FileHandle> {
  const handle = await open(path, APPEND).catch(failAsDamaged)
  try {
    const current = await handle.stat()
    if (current.size < size) {
      throw new Problem('file_damaged', { cause: new Error(`draft ${path} has ${current.size} bytes, not ${size}`) })
    }
    if (current.size > size) await handle.truncate(size)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Creates the file where the next start removes it, and moves it only if metadata still refer to it. If the upload has
 * ended meanwhile, its removal may have found no file.
 */
async function * createDraft ({ pending, path }: BlobPaths, writing: FileWriting): Write<FileHandle> {
  const folder = dirname(path)
  const handle = yield * createFile(async () => {
    await makeFolder(folder)
    return open(pending, CREATE, 0o600)
  }, writing)
  try {
    yield { kind: 'check' }
    await rename(pending, path)
    await sync(folder)
    return handle
  } catch (error) {
    await handle.close()
    await unlink(pending).catch(() => {})
    // The upload may have ended, and been removed, just before the move.
    yield { kind: 'check' }
    throw error
  }
}

interface Batch { readonly chunks: Uint8Array[], readonly bytes: number, done: number }

class FileWriter implements BlobWriter {
  readonly #handle: FileHandle
  readonly #writing: FileWriting
  readonly #offset: number
  /** Of a new blob: `close` removes it, unless it is finished. */
  #unfinished: string | undefined
  #chunks: Uint8Array[] = []
  #chunkBytes = 0
  /** Batches to be written. The first one is being written. */
  readonly #batches: Batch[] = []
  /** The write of the first batch. */
  #running: Promise<void> | undefined
  #written = 0
  /** Why the first batch can't be written. */
  #failure: { readonly error: unknown } | undefined
  #syncedBytes = 0
  #syncing: Promise<void> = Promise.resolve()

  constructor (handle: FileHandle, { pending, offset }: { pending?: string, offset: number }, writing: FileWriting) {
    this.#handle = handle
    this.#writing = writing
    this.#offset = offset
    this.#unfinished = pending
  }

  /** One batch is written while the next is collected. */
  add (chunk: Uint8Array): Write<void> | undefined {
    this.#chunks.push(chunk)
    this.#chunkBytes += chunk.length
    const fullBytes = Math.max(MIN_WRITE_BYTES, MAX_WRITE_BYTES / this.#writing.countWriters())
    if (this.#chunkBytes < fullBytes && this.#chunks.length < MAX_WRITE_CHUNKS) return undefined
    this.#enqueue()
    return this.#batches.length > 1 ? this.#settle(1) : undefined
  }

  async * checkpoint ({ isLast }: { isLast: boolean }): Write<Draft> {
    try {
      yield * this.#flush()
    } catch (error) {
      if (isLast) throw error
    }
    await this.#syncing
    await this.#handle.datasync()
    const draft = { size: this.#offset + this.#written, state: null }
    yield { kind: 'record', draft, isLast }
    return draft
  }

  async * finish (): Write<void> {
    yield * this.#flush()
    // Concurrently, because the journal commits both together. Both must end before the file is closed.
    const syncs = [this.#handle.datasync(), this.#writing.syncPending()]
    await Promise.allSettled(syncs)
    await Promise.all(syncs)
    this.#unfinished = undefined
  }

  async close (): Promise<void> {
    this.#batches.splice(1)
    await Promise.allSettled([this.#running])
    await Promise.allSettled([this.#syncing])
    await this.#handle.close().catch(() => {})
    if (this.#unfinished !== undefined) await unlink(this.#unfinished).catch(() => {})
  }

  #flush (): Write<void> {
    if (this.#chunkBytes > 0) this.#enqueue()
    return this.#settle(0)
  }

  #enqueue (): void {
    this.#batches.push({ chunks: this.#chunks, bytes: this.#chunkBytes, done: 0 })
    this.#chunks = []
    this.#chunkBytes = 0
    this.#running ??= this.#begin()
  }

  /** Waits until so many batches are left. Writes those again that the disk had no space for. */
  async * #settle (left: number): Write<void> {
    if (this.#failure !== undefined) throw this.#failure.error
    const settle = async () => {
      while (this.#batches.length > left) {
        this.#running ??= this.#begin()
        await this.#running.catch((error: unknown) => {
          this.#running = undefined
          throw error
        })
      }
    }
    const missing = () => this.#batches.reduce((sum, { bytes, done }) => sum + bytes - done, 0)
    try {
      yield * this.#writing.freeSpace.again(settle, missing)
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }

  #begin (): Promise<void> {
    const running = this.#writeFirst()
    running.catch(() => {})
    return running
  }

  async #writeFirst (): Promise<void> {
    const [batch] = this.#batches as [Batch]
    await this.#write(batch)
    this.#batches.shift()
    this.#written += batch.bytes
    await this.#syncAhead()
    this.#running = this.#batches.length > 0 ? this.#begin() : undefined
  }

  /** A short write means that the disk is full; the next one then fails, and begins where the short one ended. */
  async #write (batch: Batch): Promise<void> {
    const { freeSpace, leavesDouble } = this.#writing
    while (batch.done < batch.bytes) {
      const write = async () => batch.done === 0
        ? this.#handle.writev(batch.chunks)
        : this.#handle.write(Buffer.concat(batch.chunks).subarray(batch.done))
      const { bytesWritten } = await freeSpace.during(batch.bytes - batch.done, write, { leavesDouble })
      batch.done += bytesWritten
    }
  }

  async #syncAhead (): Promise<void> {
    if (this.#unfinished !== undefined || this.#written - this.#syncedBytes < SYNC_BYTES) return
    await this.#syncing
    this.#syncedBytes = this.#written
    this.#syncing = this.#handle.datasync()
    this.#syncing.catch(() => {})
  }
}
