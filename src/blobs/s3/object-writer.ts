import { AbortMultipartUploadCommand, DeleteObjectCommand } from '@aws-sdk/client-s3'
import type { Problem } from '../../problems.ts'
import { type Draft, Superseded, type Write } from '../blob-store.ts'
import type { BlobWriter } from '../blob-writer.ts'
import { completeObject } from './assembly.ts'
import type { Bucket } from './bucket.ts'
import { draftOf, stateOf } from './draft-state.ts'
import { isNoUpload } from './failures.ts'
import { atUpload, createMultipart, emptyParts, type Multipart, sendPart, type SentPart } from './multipart.ts'
import { PartBuffer, storeBytes } from './part-buffer.ts'
import { partBytes, PARTS_AT_ONCE } from './parts.ts'
import { removeUnfinished } from './removal.ts'

/** Part numbers that an append reserves, and saves as reserved, before it uses them. */
const RESERVED_NUMBERS = 16

interface Target {
  readonly maxBytes: number
  /** What is continued; undefined for a new blob. */
  readonly draft?: Draft
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
  /** Nothing of a new blob is recorded before it is finished. */
  readonly #isDraft: boolean
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
  /** What was recorded last. */
  #saved: Draft
  /**
   * Drafts that metadata may refer to: the recorded one, and one whose record has an unknown outcome. If superseded,
   * the one that is recorded instead.
   */
  #inUse: Draft[]
  /** Keys of tails that may have to be deleted. */
  #tails: string[]
  #mayHaveObject = false

  constructor (bucket: Bucket, id: string, { maxBytes, draft: continued }: Target) {
    const draft = continued ?? { size: 0, state: null }
    const { uploadId, parts, tail, formerTail, next } = stateOf(draft)
    this.#bucket = bucket
    this.#id = id
    this.#key = bucket.keyOf(id)
    this.#maxBytes = maxBytes
    this.#isDraft = continued !== undefined
    this.#buffer = new PartBuffer(bucket, id, tail)
    this.#first = next
    this.#next = next
    this.#reserved = this.#isDraft ? next : Infinity
    this.#size = draft.size
    this.#multipart = uploadId === null ? undefined : { key: this.#key, uploadId }
    this.#parts = [...parts]
    this.#saved = draft
    this.#inUse = [draft]
    this.#tails = [formerTail, tail?.key].filter(key => typeof key === 'string')
  }

  add (chunk: Uint8Array): Write<void> {
    return this.#orSuperseded(this.#add(chunk))
  }

  checkpoint (at: { isLast: boolean }): Write<Draft> {
    return this.#orSuperseded(this.#checkpoint(at))
  }

  async * finish (): Write<void> {
    await this.#settle()
    const multipart = this.#multipart
    this.#mayHaveObject = true
    const content = { multipart, parts: this.#parts, next: this.#next, buffer: this.#buffer }
    await completeObject(this.#bucket, this.#key, content)
    this.#mayHaveObject = false
    this.#multipart = undefined
    // If it fails, the object is complete all the same. The upload in parts that is left is removed with it.
    if (multipart?.isRepeated === true) await removeUnfinished(this.#bucket, [this.#id]).catch(() => {})
  }

  async close (): Promise<void> {
    this.#failure.abort()
    await Promise.allSettled(this.#sending)
    await this.#buffer.close()
    await this.#dropTails()
    await this.#dropParts()
    if (this.#mayHaveObject) {
      await this.#bucket.tryCleanup(new DeleteObjectCommand(this.#bucket.at(this.#key)))
    }
  }

  /**
   * If another append has superseded this one, it may have removed what this one needs: fails with {@link Superseded}.
   */
  async * #orSuperseded<T> (work: Write<T>): Write<T> {
    try {
      return yield * work
    } catch (error) {
      const { code, cause } = error as Problem
      if (this.#isDraft && (isNoUpload(cause) || code === 'file_damaged')) {
        yield * this.#save(this.#saved, { isLast: false })
      }
      throw error
    }
  }

  async * #add (chunk: Uint8Array): Write<void> {
    for (let start = 0; start < chunk.length;) {
      // Only when the next byte is there: what fits into one part needs no upload in parts.
      if (this.#isFull()) yield * this.#sendFilled()
      const added = await this.#buffer.fill(chunk.subarray(start), this.#partSize())
      start += added
      this.#size += added
    }
  }

  async * #checkpoint (at: { isLast: boolean }): Write<Draft> {
    const draft = yield * this.#flush()
    yield * this.#save(draft, at)
    return draft
  }

  #partSize (): number {
    // Of a draft some part numbers stay unused, so plan for double.
    return partBytes(this.#next - 1, this.#isDraft ? 2 * this.#maxBytes : this.#maxBytes)
  }

  /** A tail may be longer, if the limit was another one when it was stored. */
  #isFull (): boolean {
    return this.#buffer.length >= this.#partSize()
  }

  async * #sendFilled (): Write<void> {
    await this.#sending.at(this.#isDraft ? -1 : -PARTS_AT_ONCE)
    this.#multipart ??= await createMultipart(this.#bucket, this.#key)
    if (this.#next === this.#reserved) yield * this.#reserve(this.#multipart)
    const { bytes, space } = await this.#buffer.take()
    const part = { number: this.#next++, bytes, signal: this.#failure.signal, isKnown: this.#isDraft }
    const sent = sendPart(this.#bucket, this.#multipart, part).finally(() => space?.release())
    sent.catch(() => {})
    this.#sending.push(sent)
  }

  #reserve ({ uploadId }: Multipart): Write<void> {
    const reserved = { ...stateOf(this.#saved), uploadId, next: this.#next + RESERVED_NUMBERS }
    return this.#save(draftOf(this.#saved.size, reserved), { isLast: false })
  }

  async #settle (): Promise<void> {
    this.#parts.push(...await Promise.all(this.#sending))
    this.#sending = []
  }

  /** Sends what was added so far, and what is shorter than a part as the new tail. */
  async * #flush (): Write<Draft> {
    await this.#settle()
    const state = stateOf(this.#saved)
    if (this.#size === this.#saved.size) return draftOf(this.#size, { ...state, next: this.#next })
    if (this.#isFull()) {
      yield * this.#sendFilled()
      await this.#settle()
    }
    const tail = this.#buffer.length === 0
      ? null
      : await this.#buffer.use(bytes => storeBytes(this.#bucket, this.#id, bytes))
    if (tail !== null) this.#tails.push(tail.key)
    const uploadId = this.#multipart?.uploadId ?? null
    const formerTail = state.tail?.key ?? null
    return draftOf(this.#size, { uploadId, parts: this.#parts, tail, next: this.#next, formerTail })
  }

  /** @throws {Superseded}. */
  async * #save (draft: Draft, { isLast }: { isLast: boolean }): Write<void> {
    this.#inUse.push(draft)
    let isRecorded: boolean
    try {
      isRecorded = yield { kind: 'record', draft, isLast }
    } catch (error) {
      if (error instanceof Superseded) this.#inUse = error.recorded === undefined ? [] : [error.recorded]
      throw error
    }
    if (isRecorded) {
      this.#saved = draft
      this.#inUse = [draft]
    } else {
      this.#inUse.pop()
    }
    await this.#dropTails()
    this.#reserved = stateOf(this.#saved).next
  }

  async #dropTails (): Promise<void> {
    const used = new Set(this.#inUse.map(stateOf).map(({ tail }) => tail?.key))
    const unused = this.#tails.filter(key => !used.has(key))
    this.#tails = this.#tails.filter(key => used.has(key))
    // What can't be deleted now is removed with what else is left of the draft.
    await this.#bucket.tryCleanup(...unused.map(key => new DeleteObjectCommand(this.#bucket.at(key))))
  }

  async #dropParts (): Promise<void> {
    const multipart = this.#multipart
    if (multipart === undefined) return
    const used = this.#inUse.map(stateOf).filter(({ uploadId }) => uploadId === multipart.uploadId)
    if (used.length === 0) {
      return this.#bucket.tryCleanup(new AbortMultipartUploadCommand(atUpload(this.#bucket, multipart)))
    }
    const recorded = new Set(used.flatMap(({ parts }) => parts.map(([number]) => number)))
    const own = Array.from({ length: this.#next - this.#first }, (_, index) => this.#first + index)
    await emptyParts(this.#bucket, multipart, own.filter(number => !recorded.has(number)))
  }
}
