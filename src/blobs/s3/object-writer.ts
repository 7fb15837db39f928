import { AbortMultipartUploadCommand, DeleteObjectCommand } from '@aws-sdk/client-s3'
import type { Problem } from '../../problems.ts'
import { type AppendOptions, type Draft, Superseded } from '../blob-store.ts'
import type { BlobWriter } from '../blob-writer.ts'
import { completeObject } from './assembly.ts'
import type { Bucket } from './bucket.ts'
import { draftOf, stateOf } from './draft-state.ts'
import { isNoUpload } from './failures.ts'
import { createMultipart, emptyParts, type Multipart, sendPart, type SentPart } from './multipart.ts'
import { PartBuffer, storeBytes } from './part-buffer.ts'
import { partBytes, PARTS_AT_ONCE } from './parts.ts'
import { removeUnfinished } from './removal.ts'

/** Part numbers that an append reserves, and saves as reserved, before it uses them. */
const RESERVED_NUMBERS = 16

interface Target {
  readonly maxBytes: number
  /** What is continued; undefined for a new blob. */
  readonly draft?: Draft
  readonly save?: AppendOptions['save']
}

/**
 * Writes an object: in one request if its bytes fit into a part, else as an upload in parts. The store verifies each
 * against its SHA-256. A draft keeps what is shorter than a part as an object of its own, its tail.
 */
export class ObjectWriter implements BlobWriter {
  readonly #bucket: Bucket
  readonly #id: string
  readonly #key: string
  readonly #maxBytes: number
  /** Undefined for a new blob: nothing of it is saved before it is finished. */
  readonly #record: AppendOptions['save'] | undefined
  readonly #buffer: PartBuffer
  readonly #failure = new AbortController()
  readonly #first: number
  #next: number
  /** Part numbers below this one may be used. */
  #reserved: number
  #size: number
  #multipart: Multipart & { readonly isRepeated?: boolean } | undefined
  /** Parts that the bucket has. Those in `#sending` follow. */
  readonly #parts: SentPart[]
  #sending: Promise<SentPart>[] = []
  /** What was saved last. */
  #saved: Draft
  /**
   * Drafts that metadata may refer to: the saved one, and those whose save has an unknown outcome. If superseded, the
   * recorded one.
   */
  #inUse: Draft[]
  /** Keys of tails that may have to be deleted. */
  #tails: string[]
  #mayHaveObject = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor (bucket: Bucket, id: string, { maxBytes, draft = { size: 0, state: null }, save }: Target) {
    const { uploadId, parts, tail, formerTail, next } = stateOf(draft)
    this.#bucket = bucket
    this.#id = id
    this.#key = bucket.keyOf(id)
    this.#maxBytes = maxBytes
    this.#record = save
    this.#buffer = new PartBuffer(bucket, id, tail)
    this.#first = next
    this.#next = next
    this.#reserved = save === undefined ? Infinity : next
    this.#size = draft.size
    this.#multipart = uploadId === null ? undefined : { key: this.#key, uploadId }
    this.#parts = [...parts]
    this.#saved = draft
    this.#inUse = [draft]
    this.#tails = [formerTail, tail?.key].filter(key => typeof key === 'string')
  }

  add (chunk: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      for (let start = 0; start < chunk.length;) {
        // Only when the next byte is there: what fits into one part needs no upload in parts.
        if (this.#isFull()) await this.#sendFilled()
        const added = await this.#buffer.fill(chunk.subarray(start), this.#partSize())
        start += added
        this.#size += added
      }
    })
  }

  checkpoint (at: { isLast: boolean }): Promise<Draft> {
    return this.#inTurn(async () => {
      const draft = await this.#flush()
      await this.#save(draft, at)
      return draft
    })
  }

  finish (): Promise<void> {
    return this.#inTurn(async () => {
      await this.#settle()
      const multipart = this.#multipart
      this.#mayHaveObject = true
      const content = { multipart, parts: this.#parts, next: this.#next, buffer: this.#buffer }
      await completeObject(this.#bucket, this.#key, content)
      this.#mayHaveObject = false
      this.#multipart = undefined
      // If it fails, the object is complete all the same. The upload in parts that is left is removed with it.
      if (multipart?.isRepeated === true) await removeUnfinished(this.#bucket, [this.#id]).catch(() => {})
    })
  }

  async close (): Promise<void> {
    this.#failure.abort()
    await this.#turn
    await Promise.allSettled(this.#sending)
    await this.#buffer.close()
    await this.#dropTails()
    await this.#dropParts()
    if (this.#mayHaveObject) {
      await this.#bucket.tryCleanup(new DeleteObjectCommand({ Bucket: this.#bucket.name, Key: this.#key }))
    }
  }

  #inTurn<T> (work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  #partSize (): number {
    // Of a draft some part numbers stay unused, so plan for double.
    return partBytes(this.#next - 1, this.#record === undefined ? this.#maxBytes : 2 * this.#maxBytes)
  }

  /** A tail may be longer, if the limit was another one when it was stored. */
  #isFull (): boolean {
    return this.#buffer.length >= this.#partSize()
  }

  async #sendFilled (): Promise<void> {
    await this.#sending.at(this.#record === undefined ? -PARTS_AT_ONCE : -1)?.catch(this.#failAsSuperseded)
    this.#multipart ??= await createMultipart(this.#bucket, this.#key)
    if (this.#next === this.#reserved) await this.#reserve(this.#multipart)
    const { bytes, release } = await this.#buffer.take().catch(this.#failAsSuperseded)
    const part = { number: this.#next++, bytes, signal: this.#failure.signal, isKnown: this.#record !== undefined }
    const sent = sendPart(this.#bucket, this.#multipart, part).finally(release)
    sent.catch(() => {})
    this.#sending.push(sent)
  }

  async #reserve ({ uploadId }: Multipart): Promise<void> {
    await this.#save(
      draftOf(this.#saved.size, { ...stateOf(this.#saved), uploadId, next: this.#next + RESERVED_NUMBERS }),
      { isLast: false }
    )
  }

  async #settle (): Promise<void> {
    this.#parts.push(...await Promise.all(this.#sending).catch(this.#failAsSuperseded))
    this.#sending = []
  }

  /** Sends what was added so far, and what is shorter than a part as the new tail. */
  async #flush (): Promise<Draft> {
    await this.#settle()
    const state = stateOf(this.#saved)
    if (this.#size === this.#saved.size) return draftOf(this.#size, { ...state, next: this.#next })
    if (this.#isFull()) {
      await this.#sendFilled()
      await this.#settle()
    }
    const tail = this.#buffer.length === 0
      ? null
      : await this.#buffer.use(bytes => storeBytes(this.#bucket, this.#id, bytes)).catch(this.#failAsSuperseded)
    if (tail !== null) this.#tails.push(tail.key)
    const uploadId = this.#multipart?.uploadId ?? null
    const formerTail = state.tail?.key ?? null
    return draftOf(this.#size, { uploadId, parts: this.#parts, tail, next: this.#next, formerTail })
  }

  /** @throws {Superseded}. */
  async #save (draft: Draft, at: { isLast: boolean }): Promise<void> {
    this.#inUse.push(draft)
    const recorded = await this.#record?.(draft, at).catch((error: unknown) => {
      if (error instanceof Superseded) this.#inUse = error.recorded === undefined ? [] : [error.recorded]
      throw error
    })
    if (isSame(recorded, draft)) {
      this.#saved = draft
      this.#inUse = [draft]
    } else {
      // The one before is still recorded, or another one whose save has an unknown outcome.
      this.#inUse.pop()
    }
    await this.#dropTails()
    this.#reserved = stateOf(this.#saved).next
  }

  /**
   * If another append has superseded this one, it may have removed what this one needs: fails with {@link Superseded}.
   */
  readonly #failAsSuperseded = async (error: Problem): Promise<never> => {
    if (this.#record !== undefined && (isNoUpload(error.cause) || error.code === 'file_damaged')) await this.#save(this.#saved, { isLast: false })
    throw error
  }

  async #dropTails (): Promise<void> {
    const used = new Set(this.#inUse.map(stateOf).map(({ tail }) => tail?.key))
    const unused = this.#tails.filter(key => !used.has(key))
    this.#tails = this.#tails.filter(key => used.has(key))
    // What can't be deleted now is removed with what else is left of the draft.
    await this.#bucket.tryCleanup(...unused.map(Key => new DeleteObjectCommand({ Bucket: this.#bucket.name, Key })))
  }

  async #dropParts (): Promise<void> {
    const multipart = this.#multipart
    if (multipart === undefined) return
    const { key, uploadId } = multipart
    const used = this.#inUse.map(stateOf).filter(state => state.uploadId === uploadId)
    if (used.length === 0) {
      const command = new AbortMultipartUploadCommand({ Bucket: this.#bucket.name, Key: key, UploadId: uploadId })
      return this.#bucket.tryCleanup(command)
    }
    const recorded = new Set(used.flatMap(({ parts }) => parts.map(([number]) => number)))
    const own = Array.from({ length: this.#next - this.#first }, (_, index) => this.#first + index)
    await emptyParts(this.#bucket, multipart, own.filter(number => !recorded.has(number)))
  }
}

function isSame (one: Draft | undefined, other: Draft): boolean {
  return one?.size === other.size && one.state === other.state
}
