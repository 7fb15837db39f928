import { constants, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { failAsDamaged, makeFolder, sync } from '../../data-folder/durable-files.ts'
import { Problem, refuseSize } from '../../problems.ts'
import type { AppendOptions, Draft } from '../blob-store.ts'
import { createCheckpoints } from '../checkpoints.ts'
import type { BatchWriter } from './batch-writer.ts'

const APPEND = constants.O_WRONLY | constants.O_APPEND
const CREATE = APPEND | constants.O_CREAT | constants.O_TRUNC

interface DraftAppend extends AppendOptions {
  readonly draft: Draft
  readonly bytes: AsyncIterable<Uint8Array>
  readonly createWriter: (handle: FileHandle) => BatchWriter
  /** Runs what makes a file, again if the disk has room for it later. */
  readonly withRoom: (make: () => Promise<FileHandle>) => Promise<FileHandle>
}

/** Where the file of a draft is made, and where it then is. */
interface DraftPaths {
  readonly pending: string
  readonly path: string
}

/**
 * Appends to the file of a draft. It is in the place of a blob: only metadata knows that it belongs to an upload. So nothing moves
 * when it becomes a blob, and a start has nothing to look for.
 */
export async function appendToDraft (paths: DraftPaths, append: DraftAppend): Promise<Draft> {
  const handle = await openDraft(paths, append)
  try {
    return await appendAll(handle, append)
  } finally {
    await handle.close()
  }
}

/** Opens the file at the end of the draft. What an append wrote beyond it was not saved. */
async function openDraft (paths: DraftPaths, { draft: { size }, checkCurrent, withRoom }: DraftAppend): Promise<FileHandle> {
  const { path } = paths
  if (size === 0) return withRoom(() => createDraft(paths, checkCurrent))
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
 * Makes the file where the next start removes it, and moves it when metadata still refer to it: then its removal is still to come. If the
 * upload has ended meanwhile, the removal may have found nothing.
 */
async function createDraft ({ pending, path }: DraftPaths, checkCurrent: AppendOptions['checkCurrent']): Promise<FileHandle> {
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

async function appendAll (handle: FileHandle, { draft, bytes, maxBytes, save, createWriter }: DraftAppend): Promise<Draft> {
  const writer = createWriter(handle)
  let size = draft.size
  let isOver = false

  async function makeDurable (): Promise<Draft> {
    const durable = { size, state: null }
    await writer.flush()
    await handle.datasync()
    return durable
  }

  /** What arrived before the source failed, or what the disk took of it before it was full. */
  async function keepWritten (): Promise<Draft> {
    await writer.flush().catch(() => {})
    await handle.datasync()
    return { size: draft.size + writer.written(), state: null }
  }

  async function write (): Promise<void> {
    for await (const chunk of bytes) {
      // A save has failed, and the file may be closed.
      if (isOver) return
      if (size + chunk.length > maxBytes) refuseSize(maxBytes)
      size += chunk.length
      await writer.add(chunk)
      await checkpoints.count(chunk.length)
    }
  }

  const checkpoints = createCheckpoints(makeDurable, save)
  try {
    const writing = write()
    const failure = await checkpoints.guard(writing).then(() => undefined, (error: unknown) => ({ error }))
    await checkpoints.stop()
    if (failure === undefined) return await makeDurable()
    if (save !== undefined) await checkpoints.guard(keepWritten()).then(save)
    throw failure.error
  } finally {
    isOver = true
    await checkpoints.stop()
    await writer.waitForWrites().catch(() => {})
  }
}
