import { constants, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { failAsDamaged, makeFolder, sync } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import type { AppendOptions, Draft } from '../blob-store.ts'
import type { BlobWriter } from '../blob-writer.ts'
import type { BatchWriter } from './batch-writer.ts'

const APPEND = constants.O_WRONLY | constants.O_APPEND
const CREATE = APPEND | constants.O_CREAT | constants.O_TRUNC

/** Where the file of a blob is made, and where it is once it is committed. A draft is moved before its first byte. */
export interface BlobPaths {
  readonly pending: string
  readonly path: string
}

export interface FileWriting {
  readonly createBatches: (handle: FileHandle) => BatchWriter
  /** Runs what makes a file, again if the disk has room for it later. */
  readonly withRoom: <T>(make: () => Promise<T>) => Promise<T>
  /** Syncs the names of pending files. */
  readonly syncPending: () => Promise<void>
}

/** A draft that is continued, and where its progress is recorded. */
interface Continued extends Pick<AppendOptions, 'save' | 'checkCurrent'> { readonly draft: Draft }

/** Opens the writer of a new blob. */
export async function openPending ({ pending }: BlobPaths, writing: FileWriting): Promise<BlobWriter> {
  return new FileWriter(await writing.withRoom(() => open(pending, 'wx', 0o600)), { pending }, writing)
}

/**
 * Opens the writer of a draft, at its end. Its file is in the place of a blob: only metadata knows that it belongs to
 * an upload. So nothing moves when it becomes a blob, and a start has nothing to look for.
 */
export async function openDraft (paths: BlobPaths, continued: Continued, writing: FileWriting): Promise<BlobWriter> {
  const { draft: { size } } = continued
  const handle = size === 0
    ? await writing.withRoom(() => createDraft(paths, continued.checkCurrent))
    : await openAt(paths.path, size)
  return new FileWriter(handle, { continued }, writing)
}

/** Opens a file without what was written beyond `size`: it was not saved. */
async function openAt (path: string, size: number): Promise<FileHandle> {
  const handle = await open(path, APPEND).catch(failAsDamaged)
  try {
    const current = await handle.stat()
    if (current.size < size) throw new Problem('file_damaged', { cause: new Error(`draft ${path} has ${current.size} bytes, not ${size}`) })
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
async function createDraft ({ pending, path }: BlobPaths, checkCurrent: AppendOptions['checkCurrent']): Promise<FileHandle> {
  const folder = dirname(path)
  await makeFolder(folder)
  const handle = await open(pending, CREATE, 0o600)
  try {
    await checkCurrent?.()
    await rename(pending, path)
    await sync(folder)
    return handle
  } catch (error) {
    await handle.close()
    await unlink(pending).catch(() => {})
    // The upload may have ended, and been removed, just before the move.
    await checkCurrent?.()
    throw error
  }
}

interface Target {
  /** Of a new blob: removed unless it is finished. */
  readonly pending?: string
  readonly continued?: Continued
}

class FileWriter implements BlobWriter {
  readonly #handle: FileHandle
  readonly #batches: BatchWriter
  readonly #syncPending: () => Promise<void>
  readonly #offset: number
  readonly #save: AppendOptions['save'] | undefined
  /** What `close` removes. */
  #unfinished: string | undefined

  constructor (handle: FileHandle, { pending, continued }: Target, { createBatches, syncPending }: FileWriting) {
    this.#handle = handle
    this.#batches = createBatches(handle)
    this.#syncPending = syncPending
    this.#offset = continued?.draft.size ?? 0
    this.#save = continued?.save
    this.#unfinished = pending
  }

  add (chunk: Uint8Array): Promise<void> | undefined {
    return this.#batches.add(chunk)
  }

  async checkpoint ({ isLast }: { isLast: boolean }): Promise<Draft> {
    const flushed = this.#batches.flush()
    await (isLast ? flushed : flushed.catch(() => {}))
    const draft = { size: this.#offset + this.#batches.written, state: null }
    await this.#handle.datasync()
    await this.#save?.(draft, { isLast })
    return draft
  }

  async finish (): Promise<void> {
    await this.#batches.flush()
    // Concurrently, because the journal commits both together. Both must end before the file is closed.
    const syncs = [this.#handle.datasync(), this.#syncPending()]
    await Promise.allSettled(syncs)
    await Promise.all(syncs)
    this.#unfinished = undefined
  }

  async close (): Promise<void> {
    await this.#batches.waitForWrites().catch(() => {})
    await this.#handle.close().catch(() => {})
    if (this.#unfinished !== undefined) await unlink(this.#unfinished).catch(() => {})
  }
}
