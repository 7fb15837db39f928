import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { AbortMultipartUploadCommand, DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { refuseSize, type Problem } from '../../problems.ts'
import type { AppendOptions, Draft } from '../blob-store.ts'
import { createCheckpoints } from '../checkpoints.ts'
import type { Bucket } from './bucket.ts'
import { checkObject, readPieces } from './download.ts'
import { failAsUnavailable, isNoUpload } from './failures.ts'
import { completeMultipart, createMultipart, type Multipart, sendPart, type SentPart } from './multipart.ts'
import { createPartBuffers, MAX_OBJECT_BYTES, partBytes } from './parts.ts'
import { removeUnfinished } from './removal.ts'

/** Part numbers that an append reserves, and saves as reserved, before it uses them: enough for what arrives between two checkpoints. */
const RESERVED_NUMBERS = 16

/** A draft has the parts of one upload in parts. What is shorter than a part is an object of its own, the tail. */
interface DraftState {
  readonly uploadId: string | null
  readonly parts: readonly SentPart[]
  readonly tail: { readonly key: string, readonly size: number } | null
  /**
   * Part numbers below this one may be in use by an append that was superseded and does not know it yet: a part that it still sends
   * must not replace that of another append.
   */
  readonly next: number
  /** The tail of the draft before, which is not needed once this draft is saved. */
  readonly formerTail: string | null
}

interface Progress { readonly size: number, readonly state: DraftState }

interface DraftAppend extends AppendOptions { readonly draft: Draft, readonly bytes: AsyncIterable<Uint8Array> }

/** Appends to a draft, like {@link BlobStore.append}. @throws file_too_large, unavailable. */
export async function appendToDraft (bucket: Bucket, id: string, append: DraftAppend): Promise<Draft> {
  const { bytes, save } = append
  const writer = await openDraft(bucket, id, append)
  let isOver = false

  async function write (): Promise<void> {
    for await (const chunk of bytes) {
      /* c8 ignore start: a save has failed, and the client sends one chunk more, which the tests of the folder store do. */
      if (isOver) return
      /* c8 ignore stop */
      await writer.add(chunk)
      await checkpoints.count(chunk.length)
    }
  }

  // The writer saves in turn with its other work, so that no state is saved after a later one.
  const checkpoints = createCheckpoints(() => writer.save(RESERVED_NUMBERS), save && (async () => {}))
  try {
    const failure = await checkpoints.guard(write()).then(() => undefined, (error: unknown) => ({ error }))
    await checkpoints.stop()
    if (failure === undefined) return await writer.end()
    if (save !== undefined) await writer.save(0)
    throw failure.error
  } finally {
    isOver = true
    await checkpoints.stop()
    await writer.abort()
  }
}

interface DraftWriter {
  /** Takes bytes, and sends a part as soon as there is a whole one. @throws file_too_large. */
  add (chunk: Uint8Array): Promise<void>
  /** Saves what was added so far, and that this many part numbers are reserved from now on. */
  save (reservedNumbers: number): Promise<Draft>
  /** The draft with all that was added, on stable storage. */
  end (): Promise<Draft>
  /** Stops to send. Never fails. */
  abort (): Promise<void>
}

/** Continues a draft, beginning with the bytes of its tail. */
async function openDraft (bucket: Bucket, id: string, { draft, save, reserve, ...limit }: DraftAppend): Promise<DraftWriter> {
  const key = bucket.keyOf(id)
  const maxBytes = Math.min(limit.maxBytes, MAX_OBJECT_BYTES)
  const record = (save ?? reserve) as NonNullable<AppendOptions['save']>
  const buffers = createPartBuffers()
  const failure = new AbortController()
  let saved: Progress = { size: draft.size, state: stateOf(draft) }
  const { uploadId, tail, formerTail } = saved.state
  let multipart: Multipart | undefined = uploadId === null ? undefined : { key, uploadId }
  const parts = [...saved.state.parts]
  let { next } = saved.state
  let reserved = next
  let size = draft.size - (tail?.size ?? 0)
  let sending: Promise<void> = Promise.resolve()
  let turn: Promise<unknown> = Promise.resolve()

  function inTurn<T> (work: () => Promise<T>): Promise<T> {
    const result = turn.then(work)
    turn = result.catch(() => {})
    return result
  }

  async function saveProgress (progress: Progress): Promise<Draft> {
    const draft = draftOf(progress)
    await record(draft)
    saved = progress
    reserved = progress.state.next
    return draft
  }

  async function sent (): Promise<void> {
    await sending.catch(async (error: Problem) => {
      // The append that has superseded this one may have completed the upload in parts. If so, this fails with its problem.
      if (isNoUpload(error.cause)) await saveProgress(saved)
      throw error
    })
  }

  async function sendFilled (): Promise<void> {
    await sent()
    if (next === reserved) {
      multipart ??= await createMultipart(bucket, key)
      await saveProgress({ size: saved.size, state: { ...saved.state, uploadId: multipart.uploadId, next: next + RESERVED_NUMBERS } })
    }
    const part = { number: next++, bytes: buffers.filled(), signal: failure.signal }
    sending = sendPart(bucket, multipart as Multipart, part).then(sent => { parts.push(sent) })
    sending.catch(() => {})
    buffers.turn()
  }

  async function add (chunk: Uint8Array): Promise<void> {
    if (size + chunk.length > maxBytes) refuseSize(maxBytes)
    for (let start = 0; start < chunk.length;) {
      // As for a file of twice the size, because some numbers remain unused.
      const partSize = partBytes(next - 1, 2 * maxBytes)
      const taken = buffers.fill(chunk.subarray(start), partSize)
      start += taken
      size += taken
      if (buffers.filled().length === partSize) await sendFilled()
    }
  }

  /** Sends what was added so far, and what is shorter than a part as the new tail. */
  async function flush (): Promise<Progress> {
    await sent()
    if (size === saved.size) return { size, state: { ...saved.state, next } }
    const bytes = buffers.filled()
    const tail = bytes.length === 0 ? null : { key: `${bucket.tailPrefix(id)}${randomBytes(8).toString('hex')}`, size: bytes.length }
    if (tail !== null) await putObject(bucket, tail.key, bytes)
    const state = { uploadId: multipart?.uploadId ?? null, parts: [...parts], tail, next, formerTail: saved.state.tail?.key ?? null }
    return { size, state }
  }

  if (formerTail !== null) await removeTail(bucket, formerTail)
  if (tail !== null) for await (const chunk of await readTail(bucket, tail)) await add(chunk)

  return {
    add: chunk => inTurn(() => add(chunk)),

    save: reservedNumbers => inTurn(async () => {
      const { size, state } = await flush()
      // Without an upload in parts no number is in use, and there may never be one.
      const draft = await saveProgress({ size, state: { ...state, next: multipart === undefined ? next : next + reservedNumbers } })
      if (state.formerTail !== null) await removeTail(bucket, state.formerTail)
      return draft
    }),

    end: () => inTurn(async () => draftOf(await flush())),

    async abort () {
      failure.abort()
      await turn
      await sending.catch(() => {})
    }
  }
}

/** Makes an object of a draft, unless an earlier call has done it. @throws unavailable. */
export async function assembleDraft (bucket: Bucket, id: string, draft: Draft): Promise<void> {
  const key = bucket.keyOf(id)
  await assemble(bucket, key, stateOf(draft)).catch(async (error: unknown) => {
    // The earlier call has removed the tail and the upload in parts, or its answer was lost.
    const isThere = await checkObject(bucket, { key, size: draft.size }).then(() => true, () => false)
    if (!isThere) throw error
  })
  // Superseded appends may have left parts and tails.
  await removeUnfinished(bucket, [id]).catch(() => {})
}

async function assemble (bucket: Bucket, key: string, { uploadId, parts, tail, next }: DraftState): Promise<void> {
  const bytes = tail === null ? Buffer.alloc(0) : Buffer.concat(await readTail(bucket, tail).then(chunks => Readable.from(chunks).toArray()))
  if (uploadId === null || parts.length === 0) return putObject(bucket, key, bytes)
  const multipart = { key, uploadId }
  const last = tail === null ? [] : [await sendPart(bucket, multipart, { number: next, bytes })]
  await completeMultipart(bucket, multipart, [...parts, ...last])
}

/** Deletes what belongs to an unsaved draft only, like {@link BlobStore.dropUnsaved}. */
export async function dropUnsaved (bucket: Bucket, id: string, draft: Draft, saved: Draft | undefined): Promise<void> {
  const { uploadId, tail } = stateOf(draft)
  const used = saved && stateOf(saved)
  if (tail !== null && tail.key !== used?.tail?.key) await removeTail(bucket, tail.key)
  if (uploadId === null || uploadId === used?.uploadId) return
  await bucket.tryCleanup(new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: bucket.keyOf(id), UploadId: uploadId }))
}

/** Unlike that of a new blob, this object is not removed if the request fails: another process may have stored it as well. */
async function putObject (bucket: Bucket, key: string, bytes: Buffer): Promise<void> {
  await bucket.requests.send(new PutObjectCommand({ Bucket: bucket.name, Key: key, Body: bytes, ContentLength: bytes.length })).catch(failAsUnavailable)
}

async function readTail (bucket: Bucket, tail: { key: string, size: number }): Promise<AsyncIterable<Buffer> | Buffer[]> {
  const bytes = await readPieces(bucket, tail, [{ start: 0, end: tail.size - 1 }])
  return Buffer.isBuffer(bytes) ? [bytes] : bytes
}

/** If it fails, the tail is removed with what else is left of the draft. */
async function removeTail (bucket: Bucket, key: string): Promise<void> {
  await bucket.tryCleanup(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }))
}

function stateOf ({ state }: Draft): DraftState {
  return state === null ? { uploadId: null, parts: [], tail: null, next: 1, formerTail: null } : JSON.parse(state) as DraftState
}

function draftOf ({ size, state }: Progress): Draft {
  return { size, state: JSON.stringify(state) }
}
