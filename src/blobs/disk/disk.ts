import { chmod, mkdir, open, opendir, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { blobPath, dataFolderLayout, isThere } from '../../data-folder/data-folder.ts'
import {
  failAsDamaged, failAsStorage, makeFolder, openSharedSync, type SharedSync, sync
} from '../../data-folder/durable-files.ts'
import type {
  AppendOptions, BlobStore, BlobView, DiskAllowance, Draft, PutOptions, StoredBlob, Write
} from '../blob-store.ts'
import { appendBytes, putBytes, Writes, isBlobId } from '../blob-writer.ts'
import { checkSize, createReader } from './blob-reader.ts'
import { ignoreMissing, removeDurably } from './durable-removal.ts'
import { type BlobPaths, type FileWriting, openDraft, openPending, openShared } from './file-writer.ts'
import { FreeSpace, type FreeSpaceOptions } from './free-space.ts'
import { copyTo, linkPending, type ReadableBlob } from './links.ts'

interface DiskBlobsOptions extends FreeSpaceOptions {
  /** How many bytes of an append arrive before they are saved. Default: 64 MiB. */
  saveBytes?: number
}

/**
 * Opens the blobs in a folder, and makes the folders in it.
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
  return createDiskBlobs(folder, { freeSpace: new FreeSpace(options), syncIncoming, saveBytes })
}

/** The marks and committed blobs in a folder, which need not exist. Marks are files in a folder of their own. */
export function viewDiskBlobs (folder: string): BlobView {
  return {
    has: id => isThere(join(folder, blobPath(id))),
    marks: { list: () => readdir(join(folder, dataFolderLayout.installations)).catch(() => []) }
  }
}

interface Parts {
  readonly freeSpace: FreeSpace
  readonly syncIncoming: SharedSync
  readonly saveBytes: number | undefined
}

/**
 * Blobs as files. A blob is written and synced in `incoming/`, and moved to `blobs/<first two digits>/` when it is
 * committed. The move is one atomic rename that needs no sync: after a crash, a blob in `incoming/` is committed again
 * or removed, and no other folder needs to be searched. A draft is moved before its first byte.
 */
function createDiskBlobs (folder: string, { freeSpace, syncIncoming, saveBytes }: Parts): BlobStore {
  const writes = new Writes()
  const committing = new Map<string, Promise<void>>()
  const read = createReader(atItsPath)
  const { has, marks } = viewDiskBlobs(folder)

  function pathsOf (id: string): BlobPaths {
    return { pending: join(folder, dataFolderLayout.incoming, id), path: join(folder, blobPath(id)) }
  }

  /** The blob may be moved between the first two attempts; then the third one finds it. */
  async function atItsPath<T> (id: string, operation: (path: string) => Promise<T>): Promise<T> {
    const { pending, path } = pathsOf(id)
    return operation(path).catch(() => operation(pending)).catch(() => operation(path))
  }

  function markPath (name: string): string {
    return join(folder, dataFolderLayout.installations, name)
  }

  function readableOf (blob: StoredBlob): ReadableBlob {
    return { ...blob, atItsPath: operation => atItsPath(blob.id, operation), bytes: () => bytesOf(blob) }
  }

  async function * bytesOf (blob: StoredBlob): AsyncGenerator<Uint8Array> {
    const bytes = await read(blob)
    yield * Buffer.isBuffer(bytes) ? [bytes] : bytes
  }

  function writingWith ({ leavesDouble }: DiskAllowance): FileWriting {
    return { freeSpace, leavesDouble, countWriters: () => writes.count, syncPending: syncIncoming }
  }

  const counted = <Args extends unknown[], T>(write: (...args: Args) => Write<T>) =>
    async function * (...args: Args): Write<T> {
      try {
        return yield * writes.run(write(...args))
      } catch (error) {
        return failAsStorage(error)
      }
    }

  async function * put (id: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Write<StoredBlob> {
    const { source, maxBytes } = options
    const opened = yield * openShared(pathsOf(id), bytes, { ...writingWith(options), source })
    return { id, ...yield * putBytes(opened.writer, opened.bytes, maxBytes) }
  }

  async function * append (
    id: string, draft: Draft, bytes: AsyncIterable<Uint8Array>, options: AppendOptions
  ): Write<Draft> {
    const writer = yield * openDraft(pathsOf(id), draft, writingWith(options))
    return yield * appendBytes(writer, bytes, { draft, ...options, saveBytes })
  }

  async function * copy (blob: StoredBlob, id: string, options: PutOptions): Write<void> {
    const [paths, writing] = [pathsOf(id), writingWith(options)]
    if (yield * linkPending(readableOf(blob), paths.pending, writing)) return
    yield * putBytes(yield * openPending(paths, writing), bytesOf(blob), options.maxBytes)
  }

  async function moveToCommitted (id: string): Promise<void> {
    const { pending, path } = pathsOf(id)
    try {
      await rename(pending, path)
    } catch {
      // The folder is missing. Another blob may create it at the same time.
      await makeFolder(dirname(path))
      await rename(pending, path)
    }
  }

  return {
    needsLeases: false,
    graceSeconds: 0,
    has,
    read,
    put: counted(put),

    commit (id) {
      // A full disk may refuse the move. Then the blob stays readable where it is, and the next start commits it.
      const moved = moveToCommitted(id).catch(() => {}).finally(() => { committing.delete(id) })
      committing.set(id, moved)
    },

    async check (id, size) {
      checkSize(id, await atItsPath(id, path => stat(path)).catch(failAsDamaged), size)
    },

    async remove (ids) {
      await Promise.all(ids.map(id => committing.get(id)))
      return removeDurably(ids, pathsOf)
    },

    async * list () {
      const blobs = join(folder, dataFolderLayout.blobs)
      for (const { name } of (await readdir(blobs, { withFileTypes: true })).filter(entry => entry.isDirectory())) {
        for await (const entry of await opendir(join(blobs, name))) {
          if (isBlobId(entry.name)) yield entry.name
        }
      }
    },

    async probe () {
      await writeProbe(join(folder, dataFolderLayout.probe)).catch(failAsStorage)
      await freeSpace.check(0)
    },

    async close () {
      await writes.settled()
      await Promise.all(committing.values())
      await syncIncoming.close()
    },

    // The file of a draft is in the place of a blob, so that nothing is to be done at its end.
    drafts: { append: counted(append), async finish () {} },

    copies: {
      copy: counted(copy),
      copyTo: (blob, path, equal) => copyTo(readableOf(blob), path, equal)
    },

    marks: {
      ...marks,

      async add (name) {
        await makeFolder(markPath(''))
        // An empty file needs no draft, which would look like a mark.
        await writeFile(markPath(name), '', { mode: 0o600 }).catch(failAsStorage)
        await sync(markPath(''))
      },

      remove: name => rm(markPath(name), { force: true })
    },

    async quarantine (id) {
      const quarantine = join(folder, dataFolderLayout.quarantine)
      await mkdir(quarantine, { recursive: true, mode: 0o700 })
      return rename(pathsOf(id).path, join(quarantine, id)).catch(ignoreMissing).then(() => true)
    },

    pending: async () => (await readdir(join(folder, dataFolderLayout.incoming))).filter(isBlobId),

    space: freeSpace
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
