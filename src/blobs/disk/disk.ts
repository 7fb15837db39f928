import { chmod, mkdir, open, opendir, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { blobPath, dataFolderLayout, isThere } from '../../data-folder/data-folder.ts'
import { failAsDamaged, failAsStorage, makeFolder, openSharedSync, type SharedSync, sync } from '../../data-folder/durable-files.ts'
import { type AppendOptions, type BlobStore, type DiskSpace, type Draft, isBlobId, type Piece, type PutOptions, type Room, type StoredBlob } from '../blob-store.ts'
import { appendBytes, putBytes } from '../blob-writer.ts'
import { BatchWriter } from './batch-writer.ts'
import type { BlobReadStream } from './blob-read-stream.ts'
import { BlobReader } from './blob-reader.ts'
import { ignoreMissing, removeDurably } from './durable-removal.ts'
import { type BlobPaths, type FileWriting, openDraft, openPending } from './file-writer.ts'
import { FreeSpace, type FreeSpaceOptions } from './free-space.ts'
import { checkSize, copyTo, linkPending, type ReadableBlob } from './links.ts'

/** What a file takes before its first byte. */
const FILE_BYTES = 4096

interface DiskBlobsOptions extends FreeSpaceOptions {
  /** How many bytes of an append arrive before they are saved. Default: 64 MiB. */
  saveBytes?: number
}

/**
 * Opens the blobs in a folder, and makes the folders in it. `minFreeBytes`: space that uploads leave free, asked for at
 * every write.
 */
export async function openDiskBlobs ({ saveBytes, ...options }: DiskBlobsOptions): Promise<BlobStore> {
  const { folder } = options
  const incoming = join(folder, dataFolderLayout.incoming)
  for (const path of [incoming, join(folder, dataFolderLayout.blobs)]) {
    await makeFolder(path)
    await chmod(path, 0o700)
  }
  // Always, because the process that created the folders may have died before its sync.
  await sync(folder)
  const syncIncoming = await openSharedSync(incoming, entries => entries.sync())
  return new DiskBlobs(folder, { freeSpace: new FreeSpace(options), syncIncoming, saveBytes })
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
  readonly #saveBytes: number | undefined
  readonly #writing = new Set<Promise<unknown>>()
  readonly #committing = new Map<string, Promise<void>>()
  readonly #reader = new BlobReader((id, operation) => this.#atItsPath(id, operation))

  constructor (folder: string, { freeSpace, syncIncoming, saveBytes }: {
    freeSpace: FreeSpace, syncIncoming: SharedSync, saveBytes: number | undefined
  }) {
    this.#folder = folder
    this.#freeSpace = freeSpace
    this.#syncIncoming = syncIncoming
    this.#saveBytes = saveBytes
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
      return appendBytes(writer, bytes, { draft, ...options, saveBytes: this.#saveBytes })
    })
  }

  /** Nothing to do: the file of a draft is in the place of a blob. */
  async finish (): Promise<void> {}

  requireSpace (bytes: number, room: Pick<Room, 'leavesDouble'> = {}): Promise<void> {
    return this.#freeSpace.check(bytes, room)
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

  read (id: string, size: number, pieces: readonly Piece[]): Promise<BlobReadStream | Buffer> {
    return this.#reader.read(id, size, pieces)
  }

  /**
   * Without a digest: file systems and disks have checksums of their own, and the digest would take most of the CPU
   * time of a download.
   */
  readWhole ({ id, size }: StoredBlob): Promise<BlobReadStream | Buffer> {
    return this.read(id, size, [{ start: 0, end: size - 1 }])
  }

  copy (blob: StoredBlob, id: string, options: PutOptions): Promise<void> {
    return this.#counted(async () => {
      const [paths, writing] = [this.#pathsOf(id), this.#writingWith(options)]
      if (await linkPending(this.#readable(blob), paths.pending, writing)) return
      await putBytes(await openPending(paths, writing), this.#bytesOf(blob), options.maxBytes)
    })
  }

  copyTo (blob: StoredBlob, path: string, equal?: string): Promise<'linked' | 'copied'> {
    return copyTo(this.#readable(blob), path, equal)
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
    await this.#freeSpace.check(0, {})
  }

  async close (): Promise<void> {
    await Promise.allSettled([...this.#writing, ...this.#committing.values()])
    await this.#syncIncoming.close()
  }

  #markPath (name: string): string {
    return join(this.#folder, dataFolderLayout.installations, name)
  }

  #readable (blob: StoredBlob): ReadableBlob {
    return { ...blob, atItsPath: operation => this.#atItsPath(blob.id, operation), bytes: () => this.#bytesOf(blob) }
  }

  async * #bytesOf (blob: StoredBlob): AsyncGenerator<Uint8Array> {
    const bytes = await this.readWhole(blob)
    yield * Buffer.isBuffer(bytes) ? [bytes] : bytes
  }

  #pathsOf (id: string): BlobPaths {
    return { pending: join(this.#folder, dataFolderLayout.incoming, id), path: join(this.#folder, blobPath(id)) }
  }

  #writingWith (room: Room): FileWriting {
    const countWriters = () => this.#writing.size
    return {
      createBatches: handle => new BatchWriter(handle, { freeSpace: this.#freeSpace, countWriters, room }),
      withRoom: make => this.#freeSpace.during(FILE_BYTES, make, room),
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
