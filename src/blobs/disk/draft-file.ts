import { constants, open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { failAsDamaged, makeFolder, sync } from '../../data-folder/durable-files.ts'
import { Problem, refuseSize } from '../../problems.ts'
import type { AppendOptions, Draft } from '../blob-store.ts'
import { createCheckpoints } from '../checkpoints.ts'
import type { BatchWriter } from './batch-writer.ts'

interface DraftAppend extends AppendOptions {
  readonly draft: Draft
  readonly bytes: AsyncIterable<Uint8Array>
  readonly createWriter: (handle: FileHandle) => BatchWriter
}

/**
 * Appends to the file of a draft. It is in the place of a blob: only metadata knows that it belongs to an upload. So nothing moves
 * when it becomes a blob, and a start has nothing to look for.
 */
export async function appendToDraft (path: string, append: DraftAppend): Promise<Draft> {
  const handle = await openDraft(path, append.draft)
  try {
    return await appendAll(handle, append)
  } finally {
    await handle.close()
  }
}

/** Opens the file at the end of the draft. What an append wrote beyond it was not saved. */
async function openDraft (path: string, { size }: Draft): Promise<FileHandle> {
  const handle = size === 0 ? await createDraft(path) : await open(path, constants.O_WRONLY | constants.O_APPEND).catch(failAsDamaged)
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

async function createDraft (path: string): Promise<FileHandle> {
  await makeFolder(dirname(path))
  const handle = await open(path, 'a', 0o600)
  await sync(dirname(path))
  return handle
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
