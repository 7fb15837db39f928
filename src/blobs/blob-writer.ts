import { createHash } from 'node:crypto'
import { refuseSize } from '../problems.ts'
import { type AppendOptions, type Draft, type StoredBlob, Superseded } from './blob-store.ts'
import { createCheckpoints } from './checkpoints.ts'

/** Writes one blob: a new one, or a draft from its end on. Calls must not overlap, except `checkpoint` with `add`. */
export interface BlobWriter {
  /** Takes bytes. A promise if the caller must wait before the next ones. */
  add (chunk: Uint8Array): Promise<void> | undefined
  /**
   * For a draft: syncs and saves what was added before; unless `isLast`, only as much of it as could be written.
   * Resolves with the draft.
   * @throws {Superseded}.
   */
  checkpoint (at: { isLast: boolean }): Promise<Draft>
  /** Of a new blob: brings the blob and its name to stable storage. */
  finish (): Promise<void>
  /** To be called last. Removes a blob that is not finished, and what no saved draft refers to. Never fails. */
  close (): Promise<void>
}

/** Writes a new blob, like {@link BlobStore.put}. */
export async function putBytes (writer: BlobWriter, bytes: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Omit<StoredBlob, 'id'>> {
  const hash = createHash('sha256')
  let size = 0
  try {
    for await (const chunk of bytes) {
      size += chunk.length
      if (size > maxBytes) refuseSize(maxBytes)
      hash.update(chunk)
      const added = writer.add(chunk)
      if (added !== undefined) await added
    }
    await writer.finish()
  } finally {
    await writer.close()
  }
  return { size, sha256: hash.digest('hex') }
}

interface Append extends Pick<AppendOptions, 'maxBytes' | 'isAtomic'> {
  readonly draft: Draft
  /** How many bytes arrive before they are saved. */
  readonly saveBytes?: number | undefined
}

/** Writes what follows a draft, like {@link BlobStore.append}. */
export async function appendBytes (
  writer: BlobWriter, bytes: AsyncIterable<Uint8Array>, { draft, maxBytes, isAtomic = false, saveBytes }: Append
): Promise<Draft> {
  const checkpoints = createCheckpoints(isAtomic ? undefined : () => writer.checkpoint({ isLast: false }), saveBytes)
  let { size } = draft
  let isOver = false

  async function write (): Promise<void> {
    for await (const chunk of bytes) {
      // A save has failed, and the writer may be closed.
      if (isOver) return
      size += chunk.length
      if (size > maxBytes) refuseSize(maxBytes)
      await writer.add(chunk)
      await checkpoints.count(chunk.length)
    }
  }

  try {
    const failure = await checkpoints.guard(write()).then(() => undefined, (error: unknown) => ({ error }))
    isOver = true
    await checkpoints.stop()
    if (failure === undefined) return await writer.checkpoint({ isLast: true })
    if (!isAtomic && !(failure.error instanceof Superseded)) await writer.checkpoint({ isLast: false })
    throw failure.error
  } finally {
    await checkpoints.stop()
    await writer.close()
  }
}
