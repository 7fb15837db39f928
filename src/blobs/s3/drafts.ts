import { AbortMultipartUploadCommand, DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { refuseSize, type Problem } from '../../problems.ts'
import type { AppendOptions, Draft } from '../blob-store.ts'
import { createCheckpoints } from '../checkpoints.ts'
import type { Bucket } from './bucket.ts'
import { checkObject } from './download.ts'
import { draftOf, numbersOf, type DraftState, type Progress, stateOf } from './draft-state.ts'
import { failAsUnavailable, isNoUpload } from './failures.ts'
import { completeMultipart, createMultipart, emptyParts, type Multipart, sendPart } from './multipart.ts'
import { PartBuffer, sha256Of, storeBytes } from './part-buffer.ts'
import { MAX_OBJECT_BYTES, partBytes } from './parts.ts'
import { removeUnfinished } from './removal.ts'

/** Part numbers that an append reserves, and saves as reserved, before it uses them: enough for what arrives between two checkpoints. */
const RESERVED_NUMBERS = 16

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
  const checkpoints = createCheckpoints(() => writer.save(RESERVED_NUMBERS), save && (async () => true))
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
  const failure = new AbortController()
  let saved: Progress = { size: draft.size, state: stateOf(draft) }
  const { uploadId, tail, formerTail } = saved.state
  const buffer = new PartBuffer(bucket, id, tail)
  let multipart: Multipart | undefined = uploadId === null ? undefined : { key, uploadId }
  const parts = [...saved.state.parts]
  const first = saved.state.next
  let next = first
  let reserved = next
  let { size } = draft
  /** How many of the parts the recorded draft may have: more than the saved one, if the outcome of a save is unknown. */
  let recordedParts = parts.length
  let sending: Promise<void> = Promise.resolve()
  let turn: Promise<unknown> = Promise.resolve()

  function inTurn<T> (work: () => Promise<T>): Promise<T> {
    const result = turn.then(work)
    turn = result.catch(() => {})
    return result
  }

  /** Returns whether the draft was recorded. */
  async function saveProgress (progress: Progress): Promise<boolean> {
    recordedParts = progress.state.parts.length
    const isRecorded = await record(draftOf(progress)) !== false
    if (isRecorded) {
      saved = progress
      reserved = progress.state.next
    } else {
      recordedParts = saved.state.parts.length
    }
    return isRecorded
  }

  /** Part numbers that this append has used, and no recorded draft can refer to. */
  function unrecordedNumbers (): number[] {
    const recorded = numbersOf(parts.slice(0, recordedParts))
    return Array.from({ length: next - first }, (_, index) => first + index).filter(number => !recorded.has(number))
  }

  /** The append that has superseded this one may have removed what this one needs. If so, this fails with its problem. */
  async function failAsSuperseded (error: Problem): Promise<never> {
    if (isNoUpload(error.cause) || error.code === 'file_damaged') await saveProgress(saved)
    throw error
  }

  async function sendFilled (): Promise<void> {
    await sending.catch(failAsSuperseded)
    if (next === reserved) {
      multipart ??= await createMultipart(bucket, key)
      await saveProgress({ size: saved.size, state: { ...saved.state, uploadId: multipart.uploadId, next: next + RESERVED_NUMBERS } })
    }
    const { bytes, release } = await buffer.take().catch(failAsSuperseded)
    const sha256 = sha256Of(bytes)
    const part = { number: next++, bytes, signal: failure.signal }
    sending = sendPart(bucket, multipart as Multipart, part).finally(release).then(([number, etag, size]) => { parts.push([number, etag, size, sha256]) })
    sending.catch(() => {})
  }

  async function add (chunk: Uint8Array): Promise<void> {
    if (size + chunk.length > maxBytes) refuseSize(maxBytes)
    for (let start = 0; start < chunk.length;) {
      // As for a file of twice the size, because some numbers remain unused.
      const partSize = partBytes(next - 1, 2 * maxBytes)
      // The tail may be longer, if the limit was another one when it was stored.
      const taken = buffer.length < partSize ? await buffer.fill(chunk.subarray(start), partSize) : 0
      start += taken
      size += taken
      if (buffer.length >= partSize) await sendFilled()
    }
  }

  /** Sends what was added so far, and what is shorter than a part as the new tail. */
  async function flush (): Promise<Progress> {
    await sending.catch(failAsSuperseded)
    if (size === saved.size) return { size, state: { ...saved.state, next } }
    const tail = buffer.length === 0 ? null : await buffer.use(bytes => storeBytes(bucket, id, bytes)).catch(failAsSuperseded)
    const state = { uploadId: multipart?.uploadId ?? null, parts: [...parts], tail, next, formerTail: saved.state.tail?.key ?? null }
    return { size, state }
  }

  if (formerTail !== null) await removeTail(bucket, formerTail)

  return {
    add: chunk => inTurn(() => add(chunk)),

    save: reservedNumbers => inTurn(async () => {
      const before = saved.state.tail?.key
      const { size, state } = await flush()
      // Without an upload in parts no number is in use, and there may never be one.
      const progress = { size, state: { ...state, next: multipart === undefined ? next : next + reservedNumbers } }
      const unused = await saveProgress(progress) ? before : state.tail?.key
      if (unused !== undefined && unused !== saved.state.tail?.key) await removeTail(bucket, unused)
      return draftOf(progress)
    }),

    end: () => inTurn(async () => {
      const progress = await flush()
      recordedParts = parts.length
      return draftOf(progress)
    }),

    async abort () {
      failure.abort()
      await turn
      await sending.catch(() => {})
      await buffer.close()
      if (multipart !== undefined) await emptyParts(bucket, multipart, unrecordedNumbers())
    }
  }
}

/** Makes an object of a draft, unless an earlier call has done it. @throws unavailable. */
export async function assembleDraft (bucket: Bucket, id: string, draft: Draft): Promise<void> {
  const key = bucket.keyOf(id)
  await assemble(bucket, id, stateOf(draft)).catch(async (error: unknown) => {
    // The earlier call has removed the tail and the upload in parts, or its answer was lost.
    const isThere = await checkObject(bucket, { key, size: draft.size }).then(() => true, () => false)
    if (!isThere) throw error
  })
  // Superseded appends may have left parts and tails.
  await removeUnfinished(bucket, [id]).catch(() => {})
}

async function assemble (bucket: Bucket, id: string, { uploadId, parts, tail, next }: DraftState): Promise<void> {
  const key = bucket.keyOf(id)
  const buffer = new PartBuffer(bucket, id, tail)
  try {
    if (uploadId === null || parts.length === 0) return await buffer.use(bytes => putObject(bucket, key, bytes))
    const multipart = { key, uploadId }
    const last = tail === null ? [] : [await buffer.use(bytes => sendPart(bucket, multipart, { number: next, bytes }))]
    await completeMultipart(bucket, multipart, [...parts, ...last])
  } finally {
    await buffer.close()
  }
}

/** Deletes what belongs to an unsaved draft only, like {@link BlobStore.dropUnsaved}. */
export async function dropUnsaved (bucket: Bucket, id: string, draft: Draft, saved: Draft | undefined): Promise<void> {
  const { uploadId, parts, tail } = stateOf(draft)
  const used = saved && stateOf(saved)
  if (tail !== null && tail.key !== used?.tail?.key) await removeTail(bucket, tail.key)
  if (uploadId === null) return
  const multipart = { key: bucket.keyOf(id), uploadId }
  if (uploadId === used?.uploadId) {
    const recorded = numbersOf(used.parts)
    return emptyParts(bucket, multipart, Array.from(numbersOf(parts)).filter(number => !recorded.has(number)))
  }
  await bucket.tryCleanup(new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: bucket.keyOf(id), UploadId: uploadId }))
}

/** Unlike that of a new blob, this object is not removed if the request fails: another process may have stored it as well. */
async function putObject (bucket: Bucket, key: string, bytes: Buffer): Promise<void> {
  await bucket.requests.send(new PutObjectCommand({ Bucket: bucket.name, Key: key, Body: bytes, ContentLength: bytes.length })).catch(failAsUnavailable)
}

/** If it fails, the tail is removed with what else is left of the draft. */
async function removeTail (bucket: Bucket, key: string): Promise<void> {
  await bucket.tryCleanup(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }))
}
