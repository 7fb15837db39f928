import { createHash, randomBytes } from 'node:crypto'
import { access, chmod, link, mkdir, open, opendir, readdir, rename, rm, stat, statfs, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { blobPath, dataFolderLayout } from '../data-folder.ts'
import { READ_BYTES, writeDurably } from '../durable-files.ts'
import { Problem } from '../errors.ts'
import { BlobReadStream } from './blob-read-stream.ts'
import type { BlobStore, OpenBlob, Room, StoredBlob } from './blob-store.ts'
import { failAsDamaged, failAsStorage } from './failures.ts'
import { createFolderSync } from './folder-sync.ts'
import { createYoungCollector } from './young-garbage.ts'

/** Bytes that one upload gathers before they are written: one stream wrote 1.7 times as fast as with the 64 KiB a socket gives at a time. */
const WRITE_BYTES = 1024 ** 2

/** Several uploads share those, for the disk has the others' bytes to write meanwhile; none gathers less than this. */
const LEAST_WRITE_BYTES = 256 * 1024

/** Chunks gathered at the most, as many as one `writev` takes: a megabyte that a client sends byte by byte would be 200 MB of objects. */
const WRITE_CHUNKS = 1024

/** What was seen of the disk's free room serves so long, with our own writes counted off: a look for every small upload was a fifth of its time. */
const LOOK_MILLISECONDS = 100

const ID = /^[0-9a-f]{32}$/

/** Written and removed to see whether the disk takes bytes; one that a crash leaves behind is written over. */
const PROBE = 'probe'

interface DiskBlobsOptions {
  folder: string
  /** Room that `put` leaves alone, asked for at every batch. */
  minFreeBytes: () => number
}

/**
 * Blobs as files. A blob is written and synced in `incoming/`, and moved to `blobs/<first two digits>/` when it is
 * settled. The move is one atomic rename that need not be synced: a blob found in `incoming/` after a crash is either
 * settled again or removed, so nothing but that folder is ever swept.
 */
export async function openDiskBlobs ({ folder, minFreeBytes }: DiskBlobsOptions): Promise<BlobStore> {
  const incoming = join(folder, 'incoming')
  const blobs = join(folder, dataFolderLayout.blobs)
  const incomingPath = (id: string) => join(incoming, id)
  const settledPath = (id: string) => join(folder, blobPath(id))
  for (const path of [incoming, blobs]) {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await chmod(path, 0o700)
  }
  const syncIncoming = createFolderSync(incoming)
  const collectAfter = createYoungCollector()
  const putting = new Set<Promise<StoredBlob>>()
  const settling = new Map<string, Promise<void>>()
  let bytesBeingWritten = 0
  let bytesHandedOver = 0
  let seen = { at: -Infinity, free: 0, bytesHandedOver: 0 }

  async function put (bytes: AsyncIterable<Uint8Array>, { maxBytes }: { maxBytes: number }): Promise<StoredBlob> {
    const id = randomBytes(16).toString('hex')
    const handle = await open(incomingPath(id), 'wx', 0o600).catch(failAsStorage)
    try {
      const stored = await writeAll(handle, bytes, maxBytes)
      // Both at a time, for a journal commits the two together; each is waited for, so that none outlives the handle.
      const syncs = [handle.datasync(), syncIncoming()]
      await Promise.allSettled(syncs)
      await Promise.all(syncs)
      await handle.close()
      return { id, ...stored }
    } catch (error) {
      await handle.close().catch(() => {})
      await unlink(incomingPath(id)).catch(() => {})
      return failAsStorage(error)
    }
  }

  async function writeAll (handle: FileHandle, bytes: AsyncIterable<Uint8Array>, maxBytes: number): Promise<{ size: number, sha256: string }> {
    const hash = createHash('sha256')
    let size = 0
    let gathered: Uint8Array[] = []
    let gatheredBytes = 0
    // One batch is written while the next is gathered, never more: that bounds memory and keeps the order.
    let writing: Promise<void> = Promise.resolve()
    async function flush (): Promise<void> {
      await writing
      collectAfter(gatheredBytes)
      writing = writeBatch(handle, gathered, gatheredBytes)
      writing.catch(() => {})
      gathered = []
      gatheredBytes = 0
    }
    try {
      for await (const chunk of bytes) {
        size += chunk.length
        if (size > maxBytes) throw new Problem('file_too_large', { detail: `A file may have ${maxBytes} bytes.` })
        hash.update(chunk)
        gathered.push(chunk)
        gatheredBytes += chunk.length
        if (gatheredBytes >= Math.max(LEAST_WRITE_BYTES, WRITE_BYTES / putting.size) || gathered.length >= WRITE_CHUNKS) await flush()
      }
      if (gatheredBytes > 0) await flush()
    } finally {
      await writing
    }
    return { size, sha256: hash.digest('hex') }
  }

  async function writeBatch (handle: FileHandle, chunks: Uint8Array[], length: number): Promise<void> {
    bytesBeingWritten += length
    bytesHandedOver += length
    try {
      await refuseWithoutRoom(0)
      const { bytesWritten } = await handle.writev(chunks)
      // A write is short where the disk fills up; the next one then says so.
      if (bytesWritten < length) await handle.appendFile(Buffer.concat(chunks).subarray(bytesWritten))
    } finally {
      bytesBeingWritten -= length
    }
  }

  async function room (): Promise<Room> {
    const { bavail, blocks, bsize } = await statfs(folder)
    return { free: bavail * bsize, total: blocks * bsize, kept: minFreeBytes() }
  }

  async function probe (): Promise<void> {
    const handle = await open(join(folder, PROBE), 'w', 0o600)
    try {
      await handle.writeFile(PROBE)
      await handle.datasync()
    } finally {
      await handle.close()
      await unlink(join(folder, PROBE))
    }
    await refuseWithoutRoom(0)
  }

  /** Looks at the disk where the last look is old, and in any case before it refuses. */
  async function refuseWithoutRoom (bytes: number): Promise<void> {
    const isFresh = performance.now() - seen.at < LOOK_MILLISECONDS
    if (isFresh && bytesLeft() - bytes >= minFreeBytes()) return
    // What is still being written may be on the disk or not.
    const counted = bytesHandedOver - bytesBeingWritten
    const { free, kept } = await room()
    seen = { at: performance.now(), free, bytesHandedOver: counted }
    if (bytesLeft() - bytes < kept) throw new Problem('storage_full', { detail: 'The disk has no room for this file.' })
  }

  function bytesLeft (): number {
    return seen.free - (bytesHandedOver - seen.bytesHandedOver)
  }

  async function moveToSettled (id: string): Promise<void> {
    try {
      await rename(incomingPath(id), settledPath(id))
    } catch {
      // Another blob may be making the same folder.
      await mkdir(dirname(settledPath(id)), { recursive: true, mode: 0o700 })
      await rename(incomingPath(id), settledPath(id))
    }
  }

  /** The blob may be moved between two looks; the third sees where it went. */
  async function whereItIs<T> (id: string, act: (path: string) => Promise<T>): Promise<T> {
    return act(settledPath(id)).catch(() => act(incomingPath(id))).catch(() => act(settledPath(id)))
  }

  const openFile = (id: string): Promise<FileHandle> => whereItIs(id, path => open(path))

  /** Whether it could be linked: not into another file system, nor into one that knows no links, nor as often as one likes. */
  async function linkTo (id: string, path: string): Promise<boolean> {
    return whereItIs(id, from => link(from, path)).then(() => true, () => false)
  }

  async function copyTo ({ id, size, sha256 }: StoredBlob, path: string): Promise<'linked' | 'copied'> {
    const isLinked = await linkTo(id, path)
    const copied = isLinked ? undefined : await writeDurably(path, (await openFile(id).catch(failAsDamaged)).createReadStream({ highWaterMark: READ_BYTES }))
    const isWhole = copied === undefined ? (await stat(path)).size === size : copied.size === size && copied.sha256 === sha256
    if (isWhole) return isLinked ? 'linked' : 'copied'
    await rm(path)
    throw new Problem('file_damaged', { cause: new Error(`blob ${id} is not what it was`) })
  }

  return {
    put (bytes, limits) {
      const stored = put(bytes, limits)
      putting.add(stored)
      return stored.finally(() => putting.delete(stored))
    },

    admit: refuseWithoutRoom,

    settle (id) {
      // A full disk may refuse the move: the blob is served from where it is and settled at the next start.
      const moved = moveToSettled(id).catch(() => {}).finally(() => { settling.delete(id) })
      settling.set(id, moved)
    },

    async open (id, size): Promise<OpenBlob> {
      const handle = await openFile(id).catch(failAsDamaged)
      const stored = await handle.stat()
      if (stored.size !== size) {
        await handle.close()
        throw new Problem('file_damaged', { cause: new Error(`blob ${id} has ${stored.size} bytes, not ${size}`) })
      }
      return {
        read: (...pieces) => new BlobReadStream(handle, pieces),
        close: () => handle.close()
      }
    },

    copyTo,

    async remove (id) {
      await settling.get(id)
      for (const path of [incomingPath(id), settledPath(id)]) {
        await unlink(path).catch(ignoreMissing)
      }
    },

    unsettled: async () => (await readdir(incoming)).filter(name => ID.test(name)),

    async * settled () {
      for (const { name } of (await readdir(blobs, { withFileTypes: true })).filter(entry => entry.isDirectory())) {
        for await (const entry of await opendir(join(blobs, name))) {
          if (ID.test(entry.name)) yield entry.name
        }
      }
    },

    has: id => access(settledPath(id)).then(() => true, () => false),

    async quarantine (id) {
      await mkdir(join(folder, 'quarantine'), { recursive: true, mode: 0o700 })
      await rename(settledPath(id), join(folder, 'quarantine', id)).catch(ignoreMissing)
    },

    room,

    probe: () => probe().catch(failAsStorage),

    async close () {
      await Promise.allSettled([...putting, ...settling.values()])
      await syncIncoming.close()
    }
  }
}

function ignoreMissing (error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
