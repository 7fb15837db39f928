import { createHash, type Hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { BlobStore } from '../blobs/blob-store.ts'
import { expectDigests, matchesSha256 } from '../files/digests.ts'
import type { UploadRecord } from '../metadata/uploads.ts'
import { Problem } from '../problems.ts'

/** Uploads whose digests are remembered between two requests: 1 kB each. */
const MAX_REMEMBERED = 10_000

interface Running { readonly hash: Hash, size: number }

/** The SHA-256 of an upload that arrives in several requests. */
export interface ContentDigests {
  /** Passes the bytes of an append through, and computes the digest of all bytes so far. */
  watch (upload: UploadRecord, bytes: AsyncIterable<Buffer>): AsyncIterable<Buffer>
  /** To be called after `watch`, with the size that was saved. */
  keep (upload: UploadRecord, savedBytes: number): void
  /** The SHA-256 of the whole upload. @throws digest_mismatch if it does not match the `Repr-Digest` that the client announced. */
  verify (upload: UploadRecord, size: number): Promise<string>
}

/**
 * The state of a running digest is kept in memory. If another process received the beginning, or this one was restarted, the bytes are
 * read once more when all are there: once for each upload, however often it was interrupted. A state that can be stored would take a
 * digest in WebAssembly, which is six times as slow, for every upload.
 */
export function createContentDigests (blobs: BlobStore): ContentDigests {
  const remembered = new LRUCache<string, Running>({ max: MAX_REMEMBERED })
  const running = new Map<string, Running>()

  function start ({ blobId, offset }: UploadRecord): Running | undefined {
    if (offset === 0) return { hash: createHash('sha256'), size: 0 }
    const known = remembered.get(blobId)
    return known?.size === offset ? { hash: known.hash.copy(), size: offset } : undefined
  }

  async function * hashed (bytes: AsyncIterable<Buffer>, digest: Running): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      digest.hash.update(chunk)
      digest.size += chunk.length
      yield chunk
    }
  }

  async function * stored ({ blobId }: UploadRecord, size: number): AsyncGenerator<Buffer> {
    if (size === 0) return
    const bytes = await blobs.read(blobId, size, [{ start: 0, end: size - 1 }])
    if (Buffer.isBuffer(bytes)) yield bytes
    else yield * bytes
  }

  /** Reads the whole upload. @throws digest_mismatch. */
  async function readAll (upload: UploadRecord, size: number): Promise<string> {
    const hash = createHash('sha256')
    const check = expectDigests({ 'repr-digest': upload.reprDigest ?? undefined })
    for await (const chunk of check.watch(stored(upload, size))) hash.update(chunk)
    check.confirm()
    return hash.digest('hex')
  }

  return {
    watch (upload, bytes) {
      const digest = start(upload)
      if (digest === undefined) return bytes
      running.set(upload.blobId, digest)
      return hashed(bytes, digest)
    },

    keep ({ blobId }, savedBytes) {
      const digest = running.get(blobId)
      running.delete(blobId)
      if (digest?.size === savedBytes) remembered.set(blobId, digest)
    },

    async verify (upload, size) {
      const known = remembered.get(upload.blobId)
      if (known?.size !== size) return readAll(upload, size)
      const sha256 = known.hash.copy().digest('hex')
      const matches = matchesSha256(upload.reprDigest ?? undefined, sha256)
      if (matches === undefined) return readAll(upload, size)
      if (!matches) throw new Problem('digest_mismatch', { detail: 'The file has another sha-256.' })
      return sha256
    }
  }
}
