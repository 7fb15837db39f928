import { createHash, randomBytes } from 'node:crypto'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import type { Bucket } from './bucket.ts'
import { type KnownObject, readObject } from './download.ts'
import { failAsUnavailable } from './failures.ts'
import type { Demand, PartSpace } from './part-memory.ts'
import { PART_BYTES } from './parts.ts'

/** This much of each upload does not count: most files are smaller, and a request needs as much anyway. */
const INITIAL_BYTES = 64 * 1024

/** Bytes that are an object. `sha256` is missing if an earlier version stored them. */
export type StoredBytes = Pick<KnownObject, 'key' | 'size'> & Partial<KnownObject>

export function sha256Of (bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Stores bytes of the blob `id` that are no part yet. @throws unavailable. */
export async function storeBytes (bucket: Bucket, id: string, bytes: Buffer): Promise<KnownObject> {
  const key = `${bucket.tailPrefix(id)}${randomBytes(8).toString('hex')}`
  const command = new PutObjectCommand({ ...bucket.at(key), Body: bytes, ContentLength: bytes.length })
  await bucket.requests.send(command).catch(failAsUnavailable)
  return { key, size: bytes.length, sha256: sha256Of(bytes) }
}

/**
 * Collects the parts of one upload, one after the other, in the memory that all uploads share. While it waits for its
 * client and others need memory, its bytes are moved to objects of their own, and read again when the part is complete.
 * They have names like the tails of drafts, so that they are removed with the blob if the process dies.
 */
export class PartBuffer {
  readonly #bucket: Bucket
  readonly #id: string
  readonly #initial = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  /** The beginning of the part, if it is in the bucket. */
  #stored: StoredBytes[]
  /** Those of the stored bytes that this buffer moved there. */
  readonly #moved: StoredBytes[] = []
  /** What follows: its first `#length` bytes. */
  #bytes: Buffer = this.#initial
  #length = 0
  /** Where `#bytes` is, unless it is the initial buffer. */
  #space: PartSpace | undefined
  #moving: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /** The first part begins with `tail`, which is only read. */
  constructor (bucket: Bucket, id: string, tail: StoredBytes | null = null) {
    this.#bucket = bucket
    this.#id = id
    this.#stored = tail === null ? [] : [tail]
  }

  /** Bytes of the part. */
  get length (): number {
    return this.#stored.reduce((sum, { size }) => sum + size, this.#length)
  }

  /**
   * Copies bytes of a chunk until the part has `partSize` bytes. Returns their number.
   * @throws unavailable, overloaded.
   */
  async fill (chunk: Uint8Array, partSize: number): Promise<number> {
    while (this.#moving !== undefined) await this.#moving
    this.#requireWhole()
    const piece = chunk.subarray(0, partSize - this.length)
    if (this.#length + piece.length > this.#bytes.length) {
      this.#moveTo(await this.#acquire({ bytes: partSize, isFirst: this.#moved.length === 0 }), 0)
      this.#offer()
    }
    this.#bytes.set(piece, this.#length)
    this.#length += piece.length
    return piece.length
  }

  /** Calls `work` with the bytes of the part, which stays as it is. @throws file_damaged, unavailable, overloaded. */
  async use<T> (work: (bytes: Buffer) => Promise<T>): Promise<T> {
    await this.#gather()
    try {
      return await work(this.#bytes.subarray(0, this.#length))
    } finally {
      this.#offer()
    }
  }

  /**
   * Ends the part, and begins the next one. `space` is to be released when the part is sent.
   * @throws file_damaged, unavailable, overloaded.
   */
  async take (): Promise<{ readonly bytes: Buffer, readonly space: PartSpace | undefined }> {
    await this.#gather()
    const part = { bytes: this.#bytes.subarray(0, this.#length), space: this.#space }
    this.#clear()
    return part
  }

  /** Releases the memory, but not that of parts, and removes what was moved. Never fails. */
  async close (): Promise<void> {
    this.#space?.keep()
    await this.#moving
    this.#space?.release()
    this.#clear()
    await this.#removeMoved()
  }

  #clear (): void {
    this.#bytes = this.#initial
    this.#length = 0
    this.#space = undefined
  }

  #offer (): void {
    this.#space?.offer(() => this.#giveBack())
  }

  /** Gives up its memory before it waits for more: otherwise all could wait for each other. */
  async #acquire (demand: Demand): Promise<PartSpace> {
    this.#space?.keep()
    if (this.#space !== undefined) await this.#move()
    return this.#bucket.partMemory.acquire(demand)
  }

  #moveTo (space: PartSpace, offset: number): void {
    this.#bytes.copy(space.buffer, offset, 0, this.#length)
    this.#bytes = space.buffer
    this.#space = space
  }

  /** If the bytes can't be moved, the upload fails: no other must wait for its memory. */
  #giveBack (): Promise<void> {
    this.#moving = this.#move().catch((error: unknown) => { this.#failure = { error } })
      .finally(() => { this.#moving = undefined })
    return this.#moving
  }

  async #move (): Promise<void> {
    const space = this.#space
    try {
      const moved = await storeBytes(this.#bucket, this.#id, this.#bytes.subarray(0, this.#length))
      this.#stored.push(moved)
      this.#moved.push(moved)
    } finally {
      this.#clear()
      space?.release()
    }
  }

  #requireWhole (): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Brings the whole part into memory, which it keeps. After a failure the part can't be used. */
  async #gather (): Promise<void> {
    // First: from here on nothing begins to move.
    this.#space?.keep()
    await this.#moving
    this.#requireWhole()
    if (this.#stored.length === 0) return
    await this.#readStored().catch((error: unknown) => {
      this.#failure = { error }
      throw error
    })
  }

  async #readStored (): Promise<void> {
    const length = this.length
    const offset = length - this.#length
    if (this.#bytes.length >= length) {
      this.#bytes.copyWithin(offset, 0, this.#length)
    } else {
      this.#moveTo(await this.#acquire({ bytes: Math.max(length, PART_BYTES), isFirst: true }), offset)
    }
    let end = 0
    for (const object of this.#stored) {
      await readObject(this.#bucket, object, this.#bytes.subarray(end, end + object.size))
      end += object.size
    }
    this.#length = length
    this.#stored = []
    await this.#removeMoved()
  }

  async #removeMoved (): Promise<void> {
    const commands = this.#moved.splice(0).map(({ key }) => new DeleteObjectCommand(this.#bucket.at(key)))
    await this.#bucket.tryCleanup(...commands)
  }
}
