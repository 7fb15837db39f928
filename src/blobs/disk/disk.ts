import { chmod, link, mkdir, open, opendir, readdir, rename, rm, stat, unlink, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { blobPath, dataFolderLayout, isThere } from '../../data-folder/data-folder.ts'
import { failAsDamaged, failAsStorage, makeFolder, openSharedSync, READ_BYTES, type SharedSync, sync, writeDurably } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import { type AppendOptions, type BlobStore, cutPieces, type DiskSpace, type Draft, isBlobId, type Piece, type PutOptions, type StoredBlob } from '../blob-store.ts'
import { appendBytes, putBytes } from '../blob-writer.ts'
import { BatchWriter } from './batch-writer.ts'
import { BlobReadStream } from './blob-read-stream.ts'
import { ignoreMissing, removeDurably } from './durable-removal.ts'
import { type BlobPaths, type FileWriting, openDraft, openPending } from './file-writer.ts'
import { FreeSpace, type FreeSpaceOptions } from './free-space.ts'
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

/** What a file takes before its first byte. */
const FILE_BYTES = 4096

/**
 * Opens the blobs in a folder, and makes the folders in it. `minFreeBytes`: space that uploads leave free, asked for at
 * every write.
 */
export async function openDiskBlobs (options: FreeSpaceOptions): Promise<BlobStore> {
  const { folder } = options
  const incoming = join(folder, dataFolderLayout.incoming)
  for (const path of [incoming, join(folder, dataFolderLayout.blobs)]) {
    await makeFolder(path)
    await chmod(path, 0o700)
  }
  // Always, because the process that created the folders may have died before its sync.
  await sync(folder)
  const syncIncoming = await openSharedSync(incoming, entries => entries.sync())
  return new DiskBlobs(folder, new FreeSpace(options), syncIncoming)
}

/** The marks and committed blobs in a folder, which need not exist. Marks are files in a folder of their own. */
export function viewDiskBlobs (folder: string): Pick<BlobStore, 'has' | 'marks'> {
  return {
    has: id => isThere(join(folder, blobPath(id))),
    marks: () => readdir(join(folder, dataFolderLayout.installations)).catch(() => [])
  }
}

/**
 * Blobs as files. A blob is written and synced in `incoming/`, and moved to `blobs/<first two digits>/` when it is
 * committed. The move is one atomic rename that needs no sync: after a crash, a blob in `incoming/` is committed again
 * or removed, and no other folder needs to be searched. A draft is moved before its first byte.
 */
class DiskBlobs implements BlobStore {
  readonly needsLeases = false
  readonly graceSeconds = 0
  readonly #folder: string
  readonly #freeSpace: FreeSpace
  readonly #syncIncoming: SharedSync
  readonly #writing = new Set<Promise<unknown>>()
  readonly #committing = new Map<string, Promise<void>>()
  readonly #readSmallFile = createSmallFileReader()
  #readers = 0

  constructor (folder: string, freeSpace: FreeSpace, syncIncoming: SharedSync) {
    this.#folder = folder
    this.#freeSpace = freeSpace
    this.#syncIncoming = syncIncoming
  }

  put (id: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredBlob> {
    return this.#counted(async () => {
      const writer = await openPending(this.#pathsOf(id), this.#writingWith(options))
      return { id, ...await putBytes(writer, bytes, options.maxBytes) }
    })
  }

  append (id: string, draft: Draft, bytes: AsyncIterable<Uint8Array>, options: AppendOptions): Promise<Draft> {
    return this.#counted(async () => {
      const writer = await openDraft(this.#pathsOf(id), { draft, ...options }, this.#writingWith(options))
      return appendBytes(writer, bytes, { draft, ...options })
    })
  }

  /** Nothing to do: the file of a draft is in the place of a blob. */
  async finish (): Promise<void> {}

  requireSpace (bytes: number): Promise<void> {
    return this.#freeSpace.check(bytes)
  }

  missingSpace (bytes: number): Promise<number> {
    return this.#freeSpace.missing(bytes)
  }

  space (): Promise<DiskSpace> {
    return this.#freeSpace.measure()
  }

  commit (id: string): void {
    // A full disk may refuse the move. Then the blob stays readable at its pending path, and the next start commits it.
    const moved = this.#moveToCommitted(id).catch(() => {}).finally(() => { this.#committing.delete(id) })
    this.#committing.set(id, moved)
  }

  async check (id: string, size: number): Promise<void> {
    checkSize(id, await this.#atItsPath(id, path => stat(path)).catch(failAsDamaged), size)
  }

  async read (id: string, size: number, pieces: readonly Piece[]): Promise<BlobReadStream | Buffer> {
    return size <= SMALL_BYTES ? cutPieces(await this.#readSmall(id, size), pieces) : this.#openStream(id, size, pieces)
  }

  /**
   * Without a digest: file systems and disks have checksums of their own, and the digest would take most of the CPU
   * time of a download.
   */
  readWhole ({ id, size }: StoredBlob): Promise<BlobReadStream | Buffer> {
    return this.read(id, size, [{ start: 0, end: size - 1 }])
  }

  async copyTo ({ id, size, sha256 }: StoredBlob, path: string): Promise<'linked' | 'copied'> {
    // No link is possible on another file system, without support for links, or beyond the maximum number of links.
    const isLinked = await this.#atItsPath(id, from => link(from, path)).then(() => true, () => false)
    const copied = isLinked
      ? undefined
      : await writeDurably(path, (await this.#openFile(id)).createReadStream({ highWaterMark: READ_BYTES }))
    const isWhole = copied === undefined
      ? (await stat(path)).size === size
      : copied.size === size && copied.sha256 === sha256
    if (isWhole) return isLinked ? 'linked' : 'copied'
    await rm(path)
    throw new Problem('file_damaged', { cause: new Error(`blob ${id} has other bytes than recorded`) })
  }

  async remove (ids: string[]): Promise<string[]> {
    await Promise.all(ids.map(id => this.#committing.get(id)))
    return removeDurably(ids, id => this.#pathsOf(id))
  }

  async pending (): Promise<string[]> {
    return (await readdir(join(this.#folder, dataFolderLayout.incoming))).filter(isBlobId)
  }

  async * committed (): AsyncGenerator<string> {
    const blobs = join(this.#folder, dataFolderLayout.blobs)
    for (const { name } of (await readdir(blobs, { withFileTypes: true })).filter(entry => entry.isDirectory())) {
      for await (const entry of await opendir(join(blobs, name))) {
        if (isBlobId(entry.name)) yield entry.name
      }
    }
  }

  has (id: string): Promise<boolean> {
    return viewDiskBlobs(this.#folder).has(id)
  }

  async quarantine (id: string): Promise<boolean> {
    const quarantine = join(this.#folder, dataFolderLayout.quarantine)
    await mkdir(quarantine, { recursive: true, mode: 0o700 })
    return rename(this.#pathsOf(id).path, join(quarantine, id)).catch(ignoreMissing).then(() => true)
  }

  marks (): Promise<string[]> {
    return viewDiskBlobs(this.#folder).marks()
  }

  async mark (name: string): Promise<void> {
    await makeFolder(this.#markPath(''))
    // An empty file needs no draft, which would look like a mark.
    await writeFile(this.#markPath(name), '', { mode: 0o600 }).catch(failAsStorage)
    await sync(this.#markPath(''))
  }

  unmark (name: string): Promise<void> {
    return rm(this.#markPath(name), { force: true })
  }

  async probe (): Promise<void> {
    await writeProbe(join(this.#folder, dataFolderLayout.probe)).catch(failAsStorage)
    await this.#freeSpace.check(0)
  }

  async close (): Promise<void> {
    await Promise.allSettled([...this.#writing, ...this.#committing.values()])
    await this.#syncIncoming.close()
  }

  #markPath (name: string): string {
    return join(this.#folder, dataFolderLayout.installations, name)
  }

  #pathsOf (id: string): BlobPaths {
    return { pending: join(this.#folder, dataFolderLayout.incoming, id), path: join(this.#folder, blobPath(id)) }
  }

  #writingWith ({ makeRoom }: PutOptions): FileWriting {
    const countWriters = () => this.#writing.size
    return {
      createBatches: handle => new BatchWriter(handle, { freeSpace: this.#freeSpace, countWriters, makeRoom }),
      withRoom: make => this.#freeSpace.during(FILE_BYTES, make, makeRoom),
      syncPending: this.#syncIncoming
    }
  }

  #counted<T> (write: () => Promise<T>): Promise<T> {
    const writing = write().catch(failAsStorage)
    this.#writing.add(writing)
    return writing.finally(() => this.#writing.delete(writing))
  }

  async #moveToCommitted (id: string): Promise<void> {
    const { pending, path } = this.#pathsOf(id)
    try {
      await rename(pending, path)
    } catch {
      // The folder is missing. Another blob may create it at the same time.
      await makeFolder(dirname(path))
      await rename(pending, path)
    }
  }

  /** The blob may be moved between the first two attempts; then the third one finds it. */
  async #atItsPath<T> (id: string, operation: (path: string) => Promise<T>): Promise<T> {
    const { pending, path } = this.#pathsOf(id)
    return operation(path).catch(() => operation(pending)).catch(() => operation(path))
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

async function writeProbe (path: string): Promise<void> {
  const handle = await open(path, 'w', 0o600)
  try {
    await handle.writeFile('probe')
    await handle.datasync()
  } finally {
    await handle.close()
    await unlink(path)
  }
}

function checkSize (id: string, stored: { size: number }, size: number): void {
  if (stored.size !== size) throw new Problem('file_damaged', { cause: new Error(`blob ${id} has ${stored.size} bytes, not ${size}`) })
}
