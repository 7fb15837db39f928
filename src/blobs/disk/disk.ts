import { chmod, link, mkdir, open, opendir, readdir, rename, rm, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { blobPath, dataFolderLayout, isThere } from '../../data-folder/data-folder.ts'
import { failAsDamaged, failAsStorage, makeFolder, openSharedSync, READ_BYTES, sync, writeDurably } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import { type AppendOptions, type BlobStore, cutPieces, type Draft, isBlobId, type Piece, type PutOptions, type StoredBlob } from '../blob-store.ts'
import { appendBytes, putBytes } from '../blob-writer.ts'
import { createBatchWriter } from './batch-writer.ts'
import { BlobReadStream } from './blob-read-stream.ts'
import { ignoreMissing, removeDurably } from './durable-removal.ts'
import { openDraft, openPending } from './file-writer.ts'
import { createFreeSpace } from './free-space.ts'
import { createSmallFileReader } from './small-file-reader.ts'

/** Size of one read, if few blobs are read: 256 MiB took 100 ms of CPU time, and 130 ms with 256 KiB. */
const MAX_READ_BYTES = 512 * 1024

/** Size of one read, if many blobs are read. */
const MIN_READ_BYTES = 64 * 1024

/** The reads of concurrent readers add up to this: a client that stops reading keeps up to three chunks, and 400 of them kept 819 MB with chunks of 1 MiB. */
const READERS_BYTES = 8 * 1024 ** 2

/** A blob of at most this size is read at once: a stream took twice the CPU time for 4 KiB. */
const SMALL_BYTES = 64 * 1024

/** What a file takes before its first byte. */
const FILE_BYTES = 4096

interface DiskBlobsOptions {
  folder: string
  /** Space that uploads keep free, asked for at every write. */
  minFreeBytes: () => number
}

/**
 * Blobs as files. A blob is written and synced in `incoming/`, and moved to `blobs/<first two digits>/` when it is
 * committed. The move is one atomic rename that needs no sync: after a crash, a blob in `incoming/` is committed again or
 * removed, and no other folder needs to be searched. A draft is moved before its first byte.
 */
export async function openDiskBlobs ({ folder, minFreeBytes }: DiskBlobsOptions): Promise<BlobStore> {
  const incoming = join(folder, dataFolderLayout.incoming)
  const blobs = join(folder, dataFolderLayout.blobs)
  const pendingPath = (id: string) => join(incoming, id)
  const committedPath = (id: string) => join(folder, blobPath(id))
  for (const path of [incoming, blobs]) {
    await makeFolder(path)
    await chmod(path, 0o700)
  }
  // Always, because the process that created them may have died before it could.
  await sync(folder)
  const syncIncoming = await openSharedSync(incoming, entries => entries.sync())
  const freeSpace = createFreeSpace({ folder, minFreeBytes })
  const writing = new Set<Promise<unknown>>()
  const committing = new Map<string, Promise<void>>()
  const readSmallFile = createSmallFileReader()
  let readers = 0

  const pathsOf = (id: string) => ({ pending: pendingPath(id), path: committedPath(id) })

  const writingWith = ({ makeRoom }: PutOptions) => ({
    createBatches: (handle: FileHandle) => createBatchWriter(handle, { freeSpace, countWriters: () => writing.size, makeRoom }),
    withRoom: (make: () => Promise<FileHandle>) => freeSpace.during(FILE_BYTES, make, makeRoom),
    syncPending: syncIncoming
  })

  async function put (id: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredBlob> {
    return { id, ...await putBytes(await openPending(pathsOf(id), writingWith(options)), bytes, options.maxBytes) }
  }

  async function append (id: string, draft: Draft, bytes: AsyncIterable<Uint8Array>, options: AppendOptions): Promise<Draft> {
    return appendBytes(await openDraft(pathsOf(id), { draft, ...options }, writingWith(options)), bytes, { draft, ...options })
  }

  function counted<T> (writes: Promise<T>): Promise<T> {
    writing.add(writes)
    return writes.finally(() => writing.delete(writes))
  }

  async function probe (): Promise<void> {
    const path = join(folder, dataFolderLayout.probe)
    const handle = await open(path, 'w', 0o600)
    try {
      await handle.writeFile('probe')
      await handle.datasync()
    } finally {
      await handle.close()
      await unlink(path)
    }
    await freeSpace.check(0)
  }

  async function moveToCommitted (id: string): Promise<void> {
    try {
      await rename(pendingPath(id), committedPath(id))
    } catch {
      // The folder is missing. Another blob may create it at the same time.
      await makeFolder(dirname(committedPath(id)))
      await rename(pendingPath(id), committedPath(id))
    }
  }

  /** The blob may be moved between the first two attempts; then the third one finds it. */
  async function atItsPath<T> (id: string, operation: (path: string) => Promise<T>): Promise<T> {
    return operation(committedPath(id)).catch(() => operation(pendingPath(id))).catch(() => operation(committedPath(id)))
  }

  const openFile = (id: string): Promise<FileHandle> => atItsPath(id, path => open(path))

  /** All bytes of a small blob. One byte more tells a longer file. */
  async function readSmall (id: string, size: number): Promise<Buffer> {
    const bytes = await atItsPath(id, path => readSmallFile(id, path, size + 1)).catch(failAsDamaged)
    checkSize(id, { size: bytes.length }, size)
    return bytes
  }

  async function openStream (id: string, size: number, pieces: readonly Piece[]): Promise<BlobReadStream> {
    const handle = await openFile(id).catch(failAsDamaged)
    try {
      checkSize(id, await handle.stat(), size)
    } catch (error) {
      await handle.close()
      throw error
    }
    return streamOf(handle, pieces)
  }

  async function read (id: string, size: number, pieces: readonly Piece[]): Promise<BlobReadStream | Buffer> {
    return size <= SMALL_BYTES ? cutPieces(await readSmall(id, size), pieces) : openStream(id, size, pieces)
  }

  function streamOf (handle: FileHandle, pieces: readonly Piece[]): BlobReadStream {
    readers++
    const reader = new BlobReadStream(handle, pieces, () => Math.max(MIN_READ_BYTES, Math.min(MAX_READ_BYTES, Math.floor(READERS_BYTES / readers))))
    return reader.once('close', () => { readers-- })
  }

  /** Returns false if no link is possible: on another file system, without support for links, or beyond the maximum number of links. */
  async function linkTo (id: string, path: string): Promise<boolean> {
    return atItsPath(id, from => link(from, path)).then(() => true, () => false)
  }

  async function copyTo ({ id, size, sha256 }: StoredBlob, path: string): Promise<'linked' | 'copied'> {
    const isLinked = await linkTo(id, path)
    const copied = isLinked ? undefined : await writeDurably(path, (await openFile(id).catch(failAsDamaged)).createReadStream({ highWaterMark: READ_BYTES }))
    const isWhole = copied === undefined ? (await stat(path)).size === size : copied.size === size && copied.sha256 === sha256
    if (isWhole) return isLinked ? 'linked' : 'copied'
    await rm(path)
    throw new Problem('file_damaged', { cause: new Error(`blob ${id} has other bytes than recorded`) })
  }

  return {
    needsLeases: false,

    graceSeconds: 0,

    put: (id, bytes, options) => counted(put(id, bytes, options).catch(failAsStorage)),

    append: (id, draft, bytes, options) => counted(append(id, draft, bytes, options).catch(failAsStorage)),

    // A draft whose file is in the place of a blob is one.
    finish: async () => {},

    requireSpace: freeSpace.check,

    commit (id) {
      // A full disk may refuse the move. Then the blob stays readable at its pending path, and the next start commits it.
      const moved = moveToCommitted(id).catch(() => {}).finally(() => { committing.delete(id) })
      committing.set(id, moved)
    },

    async check (id, size) {
      checkSize(id, await atItsPath(id, path => stat(path)).catch(failAsDamaged), size)
    },

    read,

    // Without a digest: file systems and disks have checksums of their own, and the digest would take most of the CPU time of a download.
    readWhole: ({ id, size }) => read(id, size, [{ start: 0, end: size - 1 }]),

    copyTo,

    async remove (ids) {
      await Promise.all(ids.map(id => committing.get(id)))
      return removeDurably(ids, { pendingPath, committedPath })
    },

    pending: async () => (await readdir(incoming)).filter(isBlobId),

    async * committed () {
      for (const { name } of (await readdir(blobs, { withFileTypes: true })).filter(entry => entry.isDirectory())) {
        for await (const entry of await opendir(join(blobs, name))) {
          if (isBlobId(entry.name)) yield entry.name
        }
      }
    },

    has: id => isThere(committedPath(id)),

    async quarantine (id) {
      const quarantine = join(folder, dataFolderLayout.quarantine)
      await mkdir(quarantine, { recursive: true, mode: 0o700 })
      return rename(committedPath(id), join(quarantine, id)).catch(ignoreMissing).then(() => true)
    },

    ...createMarks(join(folder, dataFolderLayout.installations)),

    missingSpace: freeSpace.missing,

    space: freeSpace.measure,

    probe: () => probe().catch(failAsStorage),

    async close () {
      await Promise.allSettled([...writing, ...committing.values()])
      await syncIncoming.close()
    }
  }
}

/** Marks as files in a folder of their own, which is made with the first one. */
function createMarks (folder: string): Pick<BlobStore, 'marks' | 'mark' | 'unmark'> {
  return {
    marks: () => readdir(folder).catch(() => []),

    async mark (name) {
      await makeFolder(folder)
      await writeDurably(join(folder, name), [])
      await sync(folder)
    },

    unmark: name => rm(join(folder, name), { force: true })
  }
}

function checkSize (id: string, stored: { size: number }, size: number): void {
  if (stored.size !== size) throw new Problem('file_damaged', { cause: new Error(`blob ${id} has ${stored.size} bytes, not ${size}`) })
}
