import { type BlobStore, createBlobId, type PutOptions, type StoredBlob } from '../blobs/blob-store.ts'
import type { BlobRepository } from '../metadata/metadata.ts'
import { Problem } from '../problems.ts'

/** How long a lease lasts if it is not renewed: after this time the bytes of a process that died are deleted. */
const LEASE_SECONDS = 300

const RENEWAL_MILLISECONDS = LEASE_SECONDS * 1000 / 5

/** Blobs that no file refers to yet. While a store needs it, each has a lease, which ends in the transaction that adds the file. */
export interface IncomingBlobs {
  put (bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredBlob>
  /** To be called when a file refers to the blob. */
  commit (id: string): void
  /** Deletes the bytes: no file refers to them. */
  discard (id: string): Promise<void>
  /** Leaves the bytes to recovery: it is unknown whether a file refers to them. */
  leave (id: string): void
  close (): void
}

type Leases = Pick<BlobRepository, 'lease' | 'renewLeases' | 'endLease'>

export function createIncomingBlobs (leases: Leases, blobs: BlobStore): IncomingBlobs {
  const leased = new Set<string>()
  // A renewal that fails is repeated before the leases run out.
  const renew = () => { if (leased.size > 0) leases.renewLeases(Array.from(leased), LEASE_SECONDS).catch(() => {}) }
  const timer = blobs.needsLeases ? setInterval(renew, RENEWAL_MILLISECONDS).unref() : undefined

  async function discard (id: string): Promise<void> {
    const removed = await blobs.remove([id])
    // The bytes that can't be deleted now are deleted when the lease has run out, and so are those whose lease can't be ended now.
    if (leased.delete(id) && removed.includes(id)) await leases.endLease(id).catch(() => {})
  }

  return {
    async put (bytes, options) {
      const id = createBlobId()
      if (!blobs.needsLeases) return blobs.put(id, bytes, options)
      await leases.lease(id, LEASE_SECONDS)
      leased.add(id)
      try {
        return await blobs.put(id, bytes, options)
      } catch (error) {
        // A store that gave no answer may still finish the write. The lease runs out, and then the bytes are deleted twice.
        if (error instanceof Problem && error.code === 'unavailable') leased.delete(id)
        await discard(id)
        throw error
      }
    },
    commit (id) {
      leased.delete(id)
      blobs.commit(id)
    },
    discard,
    leave: id => { leased.delete(id) },
    close: () => clearInterval(timer)
  }
}
