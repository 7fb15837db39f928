import { createHash, type Hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { BlobStore } from '../blobs/blob-store.ts'
import { expectDigests, matchesSha256 } from '../files/digests.ts'
import type { UploadRecord } from '../metadata/uploads.ts'
import { Problem } from '../problems.ts'

/** Uploads whose digests are cached between two requests: 1 kB each. */
const MAX_CACHED = 10_000

/** The SHA-256 of the first `size` bytes of an upload. */
interface RunningDigest { readonly hash: Hash, size: number }

/** The bytes of an append, which compute the digest as they are read; undefined if that of the bytes before them is not known. */
export interface WatchedBytes { readonly bytes: AsyncIterable<Buffer>, readonly digest: RunningDigest | undefined }

/** The SHA-256 of an upload that arrives in several requests. */
export interface ContentDigests {
  watch (upload: UploadRecord, bytes: AsyncIterable<Buffer>): WatchedBytes
  /** To be called with what `watch` returned, when this many bytes of the upload are recorded: they never change any more. */
  cacheDigest (upload: UploadRecord, watched: WatchedBytes, recordedBytes: number): void
  /**
   * The SHA-256 of the whole upload; `watched` is its end, if it has just arrived.
   * @throws digest_mismatch if it does not match each of `reprDigests`, the fields that clients sent.
   */
  verify (upload: UploadRecord, size: number, options: { watched?: WatchedBytes | undefined, reprDigests: (string | undefined)[] }): Promise<string>
}

/**
 * The state of a running digest is kept in memory. If another process received the beginning, or this one was restarted, the bytes are
 * read once more when all are there: once for each upload, however often it was interrupted. A state that can be stored would take a
 * digest in WebAssembly, which is six times as slow, for every upload.
 */
export function createContentDigests (blobs: BlobStore): ContentDigests {
  const cached = new LRUCache<string, RunningDigest>({ max: MAX_CACHED })

  function start ({ blobId, offset }: UploadRecord): RunningDigest | undefined {
    if (offset === 0) return { hash: createHash('sha256'), size: 0 }
    const known = cached.get(blobId)
    return known?.size === offset ? { hash: known.hash.copy(), size: offset } : undefined
  }

  async function * hashed (bytes: AsyncIterable<Buffer>, digest: RunningDigest): AsyncGenerator<Buffer> {
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
  async function readAll (upload: UploadRecord, size: number, reprDigests: (string | undefined)[]): Promise<string> {
    const hash = createHash('sha256')
    const checks = reprDigests.map(field => expectDigests({ 'repr-digest': field }))
    const watched = checks.reduce<AsyncIterable<Buffer>>((bytes, check) => check.watch(bytes), stored(upload, size))
    for await (const chunk of watched) hash.update(chunk)
    for (const check of checks) check.confirm()
    return hash.digest('hex')
  }

  return {
    watch (upload, bytes) {
      const digest = start(upload)
      return digest === undefined ? { bytes, digest } : { bytes: hashed(bytes, digest), digest }
    },

    cacheDigest ({ blobId }, { digest }, recordedBytes) {
      if (digest?.size === recordedBytes) cached.set(blobId, digest)
    },

    async verify (upload, size, { watched, reprDigests }) {
      const known = watched?.digest ?? cached.get(upload.blobId)
      if (known?.size !== size) return readAll(upload, size, reprDigests)
      const sha256 = known.hash.copy().digest('hex')
      const matches = reprDigests.map(field => matchesSha256(field, sha256))
      if (matches.includes(undefined)) return readAll(upload, size, reprDigests)
      if (matches.includes(false)) throw new Problem('digest_mismatch', { detail: 'The file has another sha-256.' })
      return sha256
    }
  }
}
