import { createHash } from 'node:crypto'
import { addAbortSignal } from 'node:stream'
import { LRUCache } from 'lru-cache'
import type { BlobStore, Draft, DraftPart, ReadBlob } from '../blobs/blob-store.ts'
import { algorithmsIn, requireDigests, RunningDigest } from '../files/digests.ts'
import type { UploadRecord } from '../metadata/upload-records.ts'
import { Problem } from '../problems.ts'
import { untilAborted } from './body.ts'

/** Uploads whose digests are cached between two requests: 1 kB each. */
const MAX_CACHED = 10_000

/** Where bytes that were stored together begin and end, and their SHA-256 if known. */
interface KnownPart { readonly start: number, readonly end: number, readonly sha256: string | undefined }

interface PieceOfPart { readonly part: KnownPart, readonly start: number, readonly bytes: Buffer }

interface Verification {
  /** That of the upload with its end, if that has just arrived. */
  readonly digest: RunningDigest | undefined
  /** The fields that clients sent. */
  readonly reprDigests: readonly (string | undefined)[]
  /** Ends the reading of bytes, with its reason. What was read is not read again. */
  readonly signal: AbortSignal
}

export type ContentDigests = ReturnType<typeof createContentDigests>

/**
 * The digests of an upload that arrives in several requests: SHA-256, and what its `Repr-Digest` asks for.
 *
 * Running digests are kept in memory. If one is missing (received by another process, or before a restart) or lacks an
 * algorithm, the bytes are read once more at the end: once per upload, however often it is interrupted or refused.
 * Digests whose state can be stored need WebAssembly, which is six times as slow.
 */
export function createContentDigests (blobs: BlobStore) {
  const cached = new LRUCache<string, RunningDigest>({ max: MAX_CACHED })

  /**
   * Adds the bytes that a digest lacks. If a part is damaged, the digest of the parts before it stays cached.
   * @throws file_damaged.
   */
  async function addRest (
    blobId: string, draft: Draft, { digest, signal }: { digest: RunningDigest, signal: AbortSignal }
  ): Promise<RunningDigest> {
    const { size } = draft
    const stored = blobs.drafts.partsOf?.(draft) ?? [{ size, sha256: undefined }]
    const parts = placesOf(stored).filter(({ end }) => end > digest.size)
    const [{ start }] = parts as [KnownPart]
    const bytes = untilAborted({ bytes: read({ id: blobId, size }, { start, signal }) }, signal)
    let checked = digest
    let hash = createHash('sha256')
    let next = checked
    for await (const piece of inParts(bytes, parts)) {
      const { sha256, start, end } = piece.part
      if (piece.start === start) {
        hash = createHash('sha256')
        next = sha256 === undefined ? checked : checked.copy()
      }
      if (sha256 !== undefined) hash.update(piece.bytes)
      // The digest may end within the first part, which can be compared only as a whole.
      next.update(piece.bytes.subarray(Math.max(0, next.size - piece.start)))
      if (piece.start + piece.bytes.length < end) continue
      if (sha256 !== undefined && hash.digest('hex') !== sha256) failAsDamaged(blobId, piece.part)
      checked = next
      cached.set(blobId, checked)
    }
    return checked
  }

  async function * read (
    blob: ReadBlob, { start, signal }: { start: number, signal: AbortSignal }
  ): AsyncGenerator<Buffer> {
    const bytes = await blobs.read(blob, [{ start, end: blob.size - 1 }])
    if (Buffer.isBuffer(bytes)) yield bytes
    else yield * addAbortSignal(signal, bytes)
  }

  return {
    /** The digest of what was recorded of an upload, for the bytes that follow; undefined if it is not known. */
    start ({ blobId, offset, reprDigest }: UploadRecord): RunningDigest | undefined {
      if (offset === 0) return new RunningDigest(['sha-256', ...algorithmsIn(reprDigest ?? undefined)])
      const known = cached.get(blobId)
      return known?.size === offset ? known.copy() : undefined
    },

    /** Caches a digest that `start` returned, if it is that of the recorded bytes, which never change. */
    cache ({ blobId }: UploadRecord, digest: RunningDigest | undefined, recordedBytes: number): void {
      if (digest?.size === recordedBytes) cached.set(blobId, digest)
    },

    /**
     * The SHA-256 of the whole upload, whose draft must be recorded and readable.
     * @throws digest_mismatch if it does not match each of `reprDigests`; file_damaged if bytes that were read are not
     * those that arrived.
     */
    async verify (
      { blobId }: UploadRecord, draft: Draft, { digest: received, reprDigests, signal }: Verification
    ): Promise<string> {
      const needed = reprDigests.flatMap(field => algorithmsIn(field))
      const known = received ?? cached.get(blobId)
      const isUseful = known !== undefined && known.size <= draft.size && known.covers(needed)
      let digest = isUseful ? known.copy() : new RunningDigest(['sha-256', ...needed])
      cached.set(blobId, digest)
      if (digest.size < draft.size) digest = await addRest(blobId, draft, { digest, signal })
      for (const field of reprDigests) requireDigests(digest, field)
      return digest.read('sha-256').toString('hex')
    }
  }
}

function failAsDamaged (blobId: string, { start, end }: KnownPart): never {
  const cause = new Error(`the bytes of draft ${blobId} from ${start} to ${end} are not those that arrived`)
  throw new Problem('file_damaged', { cause })
}

function placesOf (parts: readonly DraftPart[]): KnownPart[] {
  let end = 0
  return parts.map(({ size, sha256 }) => {
    end += size
    return { start: end - size, end, sha256 }
  })
}

/** Cuts bytes where a part ends. They begin with the first part, and end with the last one. */
async function * inParts (bytes: AsyncIterable<Buffer>, parts: readonly KnownPart[]): AsyncGenerator<PieceOfPart> {
  const following = parts.values()
  let part = following.next().value as KnownPart
  let { start } = part
  for await (const chunk of bytes) {
    for (let rest = chunk; rest.length > 0;) {
      if (start === part.end) part = following.next().value as KnownPart
      const piece = rest.subarray(0, part.end - start)
      yield { part, start, bytes: piece }
      start += piece.length
      rest = rest.subarray(piece.length)
    }
  }
}
