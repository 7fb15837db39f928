import { createHash, randomBytes } from 'node:crypto'
import { refuseSize } from '../problems.ts'
import {
  type AppendOptions, type Draft, type StoredBlob, Superseded, type Write, type WriteStep, type WriteSteps
} from './blob-store.ts'

/** A draft is given for record after this many bytes, unless the store says otherwise. */
const SAVE_BYTES = 64 * 1024 ** 2

/** And this long after the first of them arrived. */
const SAVE_MILLISECONDS = 5000

/** A new random id. */
export function createBlobId (): string {
  return randomBytes(16).toString('hex')
}

/** Whether a text can be an id. Not every text can be given to every backend. */
export function isBlobId (text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text)
}

/** Runs a write to its end. */
export async function complete<T> (write: Write<T>, steps: WriteSteps = {}): Promise<T> {
  let next = await write.next(true)
  while (next.done !== true) {
    next = await take(next.value, steps).then(isDone => write.next(isDone), (error: unknown) => write.throw(error))
  }
  return next.value
}

async function take (step: WriteStep, { record, check, freeDisk }: WriteSteps): Promise<boolean> {
  if (step.kind === 'record') return (record as NonNullable<WriteSteps['record']>)(step.draft, step)
  if (step.kind === 'check') await check?.()
  else if (freeDisk === undefined) throw step.error
  else await freeDisk(step.bytes)
  return true
}

/** Writes one blob: a new one, or a draft from its end on. Calls must not overlap. */
export interface BlobWriter {
  /** Takes bytes. A write if the caller must wait before the next ones. */
  add (chunk: Uint8Array): Write<void> | undefined
  /**
   * For a draft: brings what was added before to stable storage, and gives the draft for record; unless `isLast`, only
   * as much of it as could be written.
   */
  checkpoint (at: { isLast: boolean }): Write<Draft>
  /** Of a new blob: brings the blob and its name to stable storage. */
  finish (): Write<void>
  /** To be called last. Removes a blob that is not finished, and what no recorded draft refers to. Never fails. */
  close (): Promise<void>
}

/** Writes a new blob, like {@link BlobStore.put}. */
export async function * putBytes (
  writer: BlobWriter, bytes: AsyncIterable<Uint8Array>, maxBytes: number
): Write<Omit<StoredBlob, 'id'>> {
  const hash = createHash('sha256')
  let size = 0
  try {
    for await (const chunk of bytes) {
      size += chunk.length
      if (size > maxBytes) refuseSize(maxBytes)
      hash.update(chunk)
      const added = writer.add(chunk)
      if (added !== undefined) yield * added
    }
    yield * writer.finish()
  } finally {
    await writer.close()
  }
  return { size, sha256: hash.digest('hex') }
}

interface DraftAppend extends Pick<AppendOptions, 'maxBytes' | 'isAtomic'> {
  readonly draft: Draft
  /** How many bytes arrive before the draft is given for record. */
  readonly saveBytes?: number | undefined
}

/** Writes what follows a draft, like {@link BlobStore.append}. */
export async function * appendBytes (
  writer: BlobWriter,
  bytes: AsyncIterable<Uint8Array>,
  { draft, maxBytes, isAtomic = false, saveBytes = SAVE_BYTES }: DraftAppend
): Write<Draft> {
  let { size } = draft
  let unsavedBytes = 0
  let dueAt = 0
  const timeLeft = () => unsavedBytes === 0 ? SAVE_MILLISECONDS : dueAt - performance.now()

  async function * receive (): Write<void> {
    for await (const chunk of isAtomic ? bytes : withPauses(bytes, timeLeft)) {
      size += chunk.length
      if (size > maxBytes) refuseSize(maxBytes)
      const added = writer.add(chunk)
      if (added !== undefined) yield * added
      if (unsavedBytes === 0) dueAt = performance.now() + SAVE_MILLISECONDS
      unsavedBytes += chunk.length
      if (isAtomic || (unsavedBytes < saveBytes && timeLeft() > 0)) continue
      yield * writer.checkpoint({ isLast: false })
      unsavedBytes = 0
    }
  }

  try {
    try {
      yield * receive()
    } catch (error) {
      if (!isAtomic && !(error instanceof Superseded)) yield * writer.checkpoint({ isLast: false })
      throw error
    }
    return yield * writer.checkpoint({ isLast: true })
  } finally {
    await writer.close()
  }
}

const NOTHING = Buffer.alloc(0)

/** The chunks, and an empty one whenever none has come for `milliseconds()`. */
async function * withPauses (
  bytes: AsyncIterable<Uint8Array>, milliseconds: () => number
): AsyncGenerator<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]()
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  try {
    for (let next = iterator.next(); ;) {
      const pause = new Promise<undefined>(resolve => {
        timer = setTimeout(() => resolve(undefined), milliseconds())
      })
      const result = await Promise.race([next, pause])
      clearTimeout(timer)
      isOver = result?.done === true
      if (isOver) return
      yield result?.value ?? NOTHING
      if (result !== undefined) next = iterator.next()
    }
  } finally {
    clearTimeout(timer)
    // Not waited for: the source may wait for its client.
    if (!isOver) void Promise.allSettled([iterator.return?.()])
  }
}

/** The writes of a store that are in progress. */
export class Writes {
  readonly #ended = new Set<Promise<unknown>>()

  get count (): number {
    return this.#ended.size
  }

  async track<T> (work: Promise<T>): Promise<T> {
    this.#ended.add(work)
    return work.finally(() => this.#ended.delete(work))
  }

  async * run<T> (write: Write<T>): Write<T> {
    let end!: () => void
    const ended = new Promise<void>(resolve => { end = () => resolve() })
    void this.track(ended)
    try {
      return yield * write
    } finally {
      end()
    }
  }

  /** Resolves when all of them have ended. */
  async settled (): Promise<void> {
    await Promise.allSettled(this.#ended)
  }
}
