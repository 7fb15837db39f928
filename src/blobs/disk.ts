import { createHash, randomBytes } from 'node:crypto'
import { access, chmod, mkdir, open, opendir, readdir, rename, statfs, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { Problem } from '../errors.ts'
import { BlobReadStream } from './blob-read-stream.ts'
import type { BlobStore, OpenBlob, StoredBlob } from './blob-store.ts'
import { createFolderSync } from './folder-sync.ts'

/** Bytes gathered before they are written: one stream wrote 1.7 times as fast as with the 64 KiB a socket gives at a time. */
const WRITE_BYTES = 1024 ** 2

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
 * settled. The move is one atomic rename that need not be synced: a blob found in `incoming/` after a crash is either
 * settled again or removed, so nothing but that folder is ever swept.
 */
export async function openDiskBlobs ({ folder, minFreeBytes }: DiskBlobsOptions): Promise<BlobStore> {
  const incoming = join(folder, 'incoming')
  const settledFolder = (id: string) => join(folder, 'blobs', id.slice(0, 2))
  const incomingPath = (id: string) => join(incoming, id)
  const settledPath = (id: string) => join(settledFolder(id), id)
  for (const path of [incoming, join(folder, 'blobs')]) {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await chmod(path, 0o700)
  }
  const syncIncoming = createFolderSync(incoming)
  const putting = new Set<Promise<StoredBlob>>()
  const settling = new Map<string, Promise<void>>()
  let bytesBeingWritten = 0

  async function put (bytes: AsyncIterable<Uint8Array>, { maxBytes }: { maxBytes: number }): Promise<StoredBlob> {
    const id = randomBytes(16).toString('hex')
    const handle = await open(incomingPath(id), 'wx', 0o600).catch(failAsStorage)
    try {
      const stored = await writeAll(handle, bytes, maxBytes)
      await handle.datasync()
      await handle.close()
      await syncIncoming()
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
        if (gatheredBytes >= WRITE_BYTES || gathered.length >= WRITE_CHUNKS) await flush()
      }
      if (gatheredBytes > 0) await flush()
    } finally {
      await writing
    }
    return { size, sha256: hash.digest('hex') }
  }

  async function writeBatch (handle: FileHandle, chunks: Uint8Array[], length: number): Promise<void> {
    bytesBeingWritten += length
    try {
      await refuseWithoutRoom(0)
      // Writes on where a write was short, which is how a disk that fills up shows first.
      await handle.appendFile(Buffer.concat(chunks))
    } finally {
      bytesBeingWritten -= length
    }
  }

  async function refuseWithoutRoom (bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(folder)
    if (bavail * bsize - bytesBeingWritten - bytes < minFreeBytes()) throw new Problem('storage_full', { detail: 'The disk has no room for this file.' })
  }

  async function moveToSettled (id: string): Promise<void> {
    try {
      await rename(incomingPath(id), settledPath(id))
    } catch {
      // Another blob may be making the same folder.
      await mkdir(settledFolder(id), { recursive: true, mode: 0o700 })
      await rename(incomingPath(id), settledPath(id))
    }
  }

  /** The blob may be moved between two looks; the third sees where it went. */
  async function openFile (id: string): Promise<FileHandle> {
    return open(settledPath(id)).catch(() => open(incomingPath(id))).catch(() => open(settledPath(id)))
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

    async remove (id) {
      await settling.get(id)
      for (const path of [incomingPath(id), settledPath(id)]) {
        await unlink(path).catch(ignoreMissing)
      }
    },

    unsettled: async () => (await readdir(incoming)).filter(name => ID.test(name)),

    async * settled () {
      for (const { name } of (await readdir(join(folder, 'blobs'), { withFileTypes: true })).filter(entry => entry.isDirectory())) {
        for await (const entry of await opendir(join(folder, 'blobs', name))) {
          if (ID.test(entry.name)) yield entry.name
        }
      }
    },

    has: id => access(settledPath(id)).then(() => true, () => false),

    async quarantine (id) {
      await mkdir(join(folder, 'quarantine'), { recursive: true, mode: 0o700 })
      await rename(settledPath(id), join(folder, 'quarantine', id)).catch(ignoreMissing)
    },

    async close () {
      await Promise.allSettled([...putting, ...settling.values()])
      await syncIncoming.close()
    }
  }
}

function ignoreMissing (error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

/** No room on the disk, or for the operator's own quota, or for one file of that size. */
const OUT_OF_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** A process that has no descriptor left says nothing about the file. */
function failAsDamaged (error: NodeJS.ErrnoException): never {
  if (error.code === 'EMFILE' || error.code === 'ENFILE') throw new Problem('overloaded', { headers: { 'retry-after': '1' }, cause: error })
  throw new Problem('file_damaged', { cause: error })
}

/** Says of a file system's failure what the client can be told. */
function failAsStorage (error: unknown): never {
  if (OUT_OF_ROOM.has(String((error as NodeJS.ErrnoException).code))) throw new Problem('storage_full', { cause: error })
  throw error
}
