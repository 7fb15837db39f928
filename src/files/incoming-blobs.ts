import type { FreeDisk, PutOptions, StoredBlob } from '../blobs/blob-store.ts'
import { complete, createBlobId } from '../blobs/blob-writer.ts'
import { OutcomeUnknown } from '../metadata/metadata.ts'
import type { StoreResult } from '../metadata/upload-records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'

/** How long a lease lasts if it is not renewed: after this time the bytes of a process that died are deleted. */
const LEASE_SECONDS = 300

const RENEWAL_MILLISECONDS = LEASE_SECONDS * 1000 / 5

interface IncomingOptions extends PutOptions { readonly freeDisk?: FreeDisk | undefined }

export type IncomingBlobs = ReturnType<typeof createIncomingBlobs>

/**
 * Blobs that no file refers to yet. If the store needs leases, each has one until the transaction that adds the file.
 */
export function createIncomingBlobs ({ metadata: { blobs: leases }, blobs }: Pick<AppServices, 'metadata' | 'blobs'>) {
  const leased = new Set<string>()
  const timer = blobs.needsLeases ? setInterval(renew, RENEWAL_MILLISECONDS).unref() : undefined

  /** Renews all leases; called every minute. A renewal that fails is repeated before the leases run out. */
  function renew (): void {
    if (leased.size > 0) leases.renewLeases(Array.from(leased), LEASE_SECONDS).catch(() => {})
  }

  async function write (write: (id: string) => Promise<StoredBlob>): Promise<StoredBlob> {
    const id = createBlobId()
    if (!blobs.needsLeases) return write(id)
    await leases.lease(id, LEASE_SECONDS)
    leased.add(id)
    try {
      return await write(id)
    } catch (error) {
      // Without an answer the store may still finish the write: the lease runs out, and the bytes are deleted again.
      if (error instanceof Problem && error.code === 'unavailable') leased.delete(id)
      await discard(id)
      throw error
    }
  }

  /** Deletes the bytes: no file refers to them. */
  async function discard (id: string): Promise<void> {
    const removed = await blobs.remove([id])
    // If the bytes can't be deleted or the lease can't be ended now, the bytes are deleted when the lease has run out.
    if (leased.delete(id) && removed.includes(id)) await leases.endLease(id).catch(() => {})
  }

  return {
    renew,
    discard,

    put: (bytes: AsyncIterable<Uint8Array>, { freeDisk, ...options }: IncomingOptions) =>
      write(id => complete(blobs.put(id, bytes, options), { freeDisk })),

    /** A copy of a blob. */
    copy: (blob: StoredBlob, { freeDisk, ...options }: IncomingOptions) =>
      write(async id => {
        await complete(blobs.copies.copy(blob, id, options), { freeDisk })
        return { ...blob, id }
      }),

    /**
     * Waits until a file is recorded with the blob. Commits the blob if the file refers to it, else deletes it.
     * Recovery decides unknown outcomes. The record is undefined if there is to be none.
     */
    async commitWith<T extends StoreResult | undefined> (id: string, recording: Promise<T>): Promise<T> {
      const stored = await recording.catch(async (error: unknown) => {
        if (error instanceof OutcomeUnknown) leased.delete(id)
        else await discard(id)
        throw error
      })
      if (stored?.file.blobId !== id) await discard(id)
      else {
        leased.delete(id)
        blobs.commit(id)
      }
      return stored
    },

    close (): void {
      clearInterval(timer)
    }
  }
}
