import { createHash, randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, opendir, readdir, rename, rm, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Problem } from '../../problems.ts'
import type { BlobStore, OpenBlob, StoredBlob } from '../blob-store.ts'
import { BlobReadStream, FAST_DOWNLOADS } from './blob-read-stream.ts'
import { blobPath, dataFolderLayout, isThere } from './data-folder.ts'
import { failAsStorage, makeFolder, openSharedSync, READ_BYTES, sync, writeDurably } from './durable-files.ts'
import { ignoreMissing, removeDurably } from './durable-removal.ts'
import { failAsDamaged } from './failures.ts'
import { createFastLane } from './fast-lane.ts'
import { createFreeSpace } from './free-space.ts'
import { createYoungCollector } from './young-garbage.ts'

/** Bytes that one upload gathers before they are written: one stream wrote 1.7 times as fast as with the 64 KiB a socket gives at a time. */
const WRITE_BYTES = 1024 ** 2

/** Several uploads share those, for the disk has the others' bytes to write meanwhile; none gathers less than this. */
const LEAST_WRITE_BYTES = 256 * 1024

/** Chunks gathered at the most, as many as one `writev` takes: a megabyte that a client sends byte by byte would be 200 MB of objects. */
const WRITE_CHUNKS = 1024

const ID = /^[0-9a-f]{32}$/

interface DiskBlobsOptions {
  folder: string
  /** Room that `put` leaves alone, asked for at every batch. */
  minFreeBytes: () => number
}

/**
 * Blobs as files. A blob is written and synced in `incoming/`, and moved to `blobs/<first two digits>/` when it is
 * committed. The move is one atomic rename that need not be synced: a blob found in `incoming/` after a crash is either
 * committed again or removed, so nothing but that folder is ever swept.
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
  // Always: the process that made them may have died before it could.
  await sync(folder)
  const syncIncoming = await openSharedSync(incoming, entries => entries.sync())
  const freeRoom = createFreeSpace({ folder, minFreeBytes })
  const collectAfter = createYoungCollector()
  const fastLane = createFastLane(FAST_DOWNLOADS)
  const putting = new Set<Promise<StoredBlob>>()
  const settling = new Map<string, Promise<void>>()

  async function put (bytes: AsyncIterable<Uint8Array>, { maxBytes }: { maxBytes: number }): Promise<StoredBlob> {
    const id = randomBytes(16).toString('hex')
    const handle = await open(pendingPath(id), 'wx', 0o600).catch(failAsStorage)
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
      await unlink(pendingPath(id)).catch(() => {})
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
      writing = freeRoom.writing(gatheredBytes, writeBatch.bind(undefined, handle, gathered, gatheredBytes))
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
    await freeRoom.refuseWithout(0)
  }

  async function moveToSettled (id: string): Promise<void> {
    try {
      await rename(pendingPath(id), committedPath(id))
    } catch {
      // Another blob may be making the same folder.
      await makeFolder(dirname(committedPath(id)))
      await rename(pendingPath(id), committedPath(id))
    }
  }

  /** The blob may be moved between two looks; the third sees where it went. */
  async function whereItIs<T> (id: string, act: (path: string) => Promise<T>): Promise<T> {
    return act(committedPath(id)).catch(() => act(pendingPath(id))).catch(() => act(committedPath(id)))
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

    requireSpace: freeRoom.refuseWithout,

    commit (id) {
      // A full disk may refuse the move: the blob is served from where it is and committed at the next start.
      const moved = moveToSettled(id).catch(() => {}).finally(() => { settling.delete(id) })
      settling.set(id, moved)
    },

    async check (id, size) {
      checkSize(id, await whereItIs(id, path => stat(path)).catch(failAsDamaged), size)
    },

    async open (id, size): Promise<OpenBlob> {
      const handle = await openFile(id).catch(failAsDamaged)
      try {
        checkSize(id, await handle.stat(), size)
      } catch (error) {
        await handle.close()
        throw error
      }
      return {
        read: (...pieces) => new BlobReadStream(handle, pieces, fastLane),
        close: () => handle.close()
      }
    },

    copyTo,

    async remove (ids) {
      await Promise.all(ids.map(id => settling.get(id)))
      return removeDurably(ids, { pendingPath, committedPath })
    },

    pending: async () => (await readdir(incoming)).filter(name => ID.test(name)),

    async * committed () {
      for (const { name } of (await readdir(blobs, { withFileTypes: true })).filter(entry => entry.isDirectory())) {
        for await (const entry of await opendir(join(blobs, name))) {
          if (ID.test(entry.name)) yield entry.name
        }
      }
    },

    has: id => isThere(committedPath(id)),

    async quarantine (id) {
      const quarantine = join(folder, dataFolderLayout.quarantine)
      await mkdir(quarantine, { recursive: true, mode: 0o700 })
      await rename(committedPath(id), join(quarantine, id)).catch(ignoreMissing)
    },

    space: freeRoom.look,

    probe: () => probe().catch(failAsStorage),

    async close () {
      await Promise.allSettled([...putting, ...settling.values()])
      await syncIncoming.close()
    }
  }
}

function checkSize (id: string, stored: { size: number }, size: number): void {
  if (stored.size !== size) throw new Problem('file_damaged', { cause: new Error(`blob ${id} has ${stored.size} bytes, not ${size}`) })
}

async function writeBatch (handle: FileHandle, chunks: Uint8Array[], bytes: number): Promise<void> {
  const { bytesWritten } = await handle.writev(chunks)
  // A write is short where the disk fills up; the next one then says so.
  if (bytesWritten < bytes) await handle.appendFile(Buffer.concat(chunks).subarray(bytesWritten))
}
