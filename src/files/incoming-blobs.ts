import { type BlobStore, createBlobId, type PutOptions, type StoredBlob } from '../blobs/blob-store.ts'
import type { BlobRepository } from '../metadata/blobs.ts'
import { OutcomeUnknown } from '../metadata/metadata.ts'
import type { StoreResult } from '../metadata/uploads-repository.ts'
import { Problem } from '../problems.ts'

/** How long a lease lasts if it is not renewed: after this time the bytes of a process that died are deleted. */
const LEASE_SECONDS = 300

const RENEWAL_MILLISECONDS = LEASE_SECONDS * 1000 / 5

type Leases = Pick<BlobRepository, 'lease' | 'renewLeases' | 'endLease'>

/**
 * Blobs that no file refers to yet. If the store needs leases, each has one until the transaction that adds the file.
 */
export class IncomingBlobs {
  readonly #leases: Leases
  readonly #blobs: BlobStore
  readonly #leased = new Set<string>()
  readonly #timer: NodeJS.Timeout | undefined

  constructor (leases: Leases, blobs: BlobStore) {
    this.#leases = leases
    this.#blobs = blobs
    this.#timer = blobs.needsLeases ? setInterval(() => this.renew(), RENEWAL_MILLISECONDS).unref() : undefined
  }

  put (bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredBlob> {
    return this.#write(id => this.#blobs.put(id, bytes, options))
  }

  /** A copy of a blob. */
  copy (blob: StoredBlob, options: PutOptions): Promise<StoredBlob> {
    return this.#write(id => this.#blobs.copy(blob, id, options).then(() => ({ ...blob, id })))
  }

  async #write (write: (id: string) => Promise<StoredBlob>): Promise<StoredBlob> {
    const id = createBlobId()
    if (!this.#blobs.needsLeases) return write(id)
    await this.#leases.lease(id, LEASE_SECONDS)
    this.#leased.add(id)
    try {
      return await write(id)
    } catch (error) {
      // Without an answer the store may still finish the write: the lease runs out, and the bytes are deleted again.
      if (error instanceof Problem && error.code === 'unavailable') this.#leased.delete(id)
      await this.discard(id)
      throw error
    }
  }

  /**
   * Waits until a file is recorded with the blob. Commits the blob if the file refers to it, else deletes it. Recovery
   * decides unknown outcomes. The record is undefined if there is to be none.
   */
  async commitWith<T extends StoreResult | undefined> (id: string, recording: Promise<T>): Promise<T> {
    const stored = await recording.catch(async (error: unknown) => {
      if (error instanceof OutcomeUnknown) this.#leased.delete(id)
      else await this.discard(id)
      throw error
    })
    if (stored?.file.blobId === id) this.#commit(id)
    else await this.discard(id)
    return stored
  }

  #commit (id: string): void {
    this.#leased.delete(id)
    this.#blobs.commit(id)
  }

  /** Deletes the bytes: no file refers to them. */
  async discard (id: string): Promise<void> {
    const removed = await this.#blobs.remove([id])
    // If the bytes can't be deleted or the lease can't be ended now, the bytes are deleted when the lease has run out.
    if (this.#leased.delete(id) && removed.includes(id)) await this.#leases.endLease(id).catch(() => {})
  }

  close (): void {
    clearInterval(this.#timer)
  }

  /** Renews all leases; called every minute. A renewal that fails is repeated before the leases run out. */
  renew (): void {
    if (this.#leased.size > 0) this.#leases.renewLeases(Array.from(this.#leased), LEASE_SECONDS).catch(() => {})
  }
}
