import { type BlobStore, createBlobId, type PutOptions, type StoredBlob } from '../blobs/blob-store.ts'
import type { BlobRepository } from '../metadata/metadata.ts'
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
    this.#timer = blobs.needsLeases ? setInterval(() => this.#renew(), RENEWAL_MILLISECONDS).unref() : undefined
  }

  async put (bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredBlob> {
    const id = createBlobId()
    if (!this.#blobs.needsLeases) return this.#blobs.put(id, bytes, options)
    await this.#leases.lease(id, LEASE_SECONDS)
    this.#leased.add(id)
    try {
      return await this.#blobs.put(id, bytes, options)
    } catch (error) {
      // Without an answer the store may still finish the write: the lease runs out, and the bytes are deleted again.
      if (error instanceof Problem && error.code === 'unavailable') this.#leased.delete(id)
      await this.discard(id)
      throw error
    }
  }

  /** To be called when a file refers to the blob. */
  commit (id: string): void {
    this.#leased.delete(id)
    this.#blobs.commit(id)
  }

  /** Deletes the bytes: no file refers to them. */
  async discard (id: string): Promise<void> {
    const removed = await this.#blobs.remove([id])
    // If the bytes can't be deleted or the lease can't be ended now, the bytes are deleted when the lease has run out.
    if (this.#leased.delete(id) && removed.includes(id)) await this.#leases.endLease(id).catch(() => {})
  }

  /** Leaves the bytes to recovery: it is unknown whether a file refers to them. */
  leave (id: string): void {
    this.#leased.delete(id)
  }

  close (): void {
    clearInterval(this.#timer)
  }

  /** A renewal that fails is repeated before the leases run out. */
  #renew (): void {
    if (this.#leased.size > 0) this.#leases.renewLeases(Array.from(this.#leased), LEASE_SECONDS).catch(() => {})
  }
}
