import { createHash } from 'node:crypto'
import { addAbortSignal } from 'node:stream'
import { LRUCache } from 'lru-cache'
import type { BlobStore, Draft, DraftPart } from '../blobs/blob-store.ts'
import { algorithmsIn, createRunningDigest, requireDigests, type RunningDigest } from '../files/digests.ts'
import type { UploadRecord } from '../metadata/uploads-repository.ts'
import { Problem } from '../problems.ts'
import { untilAborted } from './upload-append.ts'

/** Uploads whose digests are cached between two requests: 1 kB each. */
const MAX_CACHED = 10_000

/** The bytes of an append, which compute the digests as they are read; undefined if those of the bytes before them are not known. */
export interface WatchedBytes { readonly bytes: AsyncIterable<Buffer>, readonly digest: RunningDigest | undefined }

/** The place of bytes that were stored at once, and their SHA-256 if it is known. */
interface Part { readonly start: number, readonly end: number, readonly sha256: string | undefined }

interface Piece { readonly part: Part, readonly start: number, readonly bytes: Buffer }

interface Verification {
  /** The end of the upload, if it has just arrived. */
  readonly watched?: WatchedBytes | undefined
  /** The fields that clients sent. */
  readonly reprDigests: readonly (string | undefined)[]
  /** Ends the reading of bytes, with its reason. What was read is not read again. */
  readonly signal: AbortSignal
}

/** The digests of an upload that arrives in several requests: SHA-256, and what its `Repr-Digest` asks for. */
export interface ContentDigests {
  watch (upload: UploadRecord, bytes: AsyncIterable<Buffer>): WatchedBytes
  /** To be called with what `watch` returned, when this many bytes of the upload are recorded: they never change any more. */
  cacheDigest (upload: UploadRecord, watched: WatchedBytes, recordedBytes: number): void
  /**
   * The SHA-256 of the whole upload, whose draft must be recorded and readable. @throws digest_mismatch if it does not match each of
   * `reprDigests`; file_damaged if bytes that were read are not those that arrived.
   */
  verify (upload: UploadRecord, draft: Draft, verification: Verification): Promise<string>
}

/**
 * The state of a running digest is kept in memory. If another process received the beginning, or this one was restarted, or the last
 * request asks for another algorithm, the bytes are read once more when all are there: once for each upload, however often it was
 * interrupted or refused. A state that can be stored would take a digest in WebAssembly, which is six times as slow, for every upload.
 */
export function createContentDigests (blobs: BlobStore): ContentDigests {
  const cached = new LRUCache<string, RunningDigest>({ max: MAX_CACHED })

  function start ({ blobId, offset, reprDigest }: UploadRecord): RunningDigest | undefined {
    if (offset === 0) return createRunningDigest(algorithmsIn(reprDigest ?? undefined))
    const known = cached.get(blobId)
    return known?.size === offset ? known.copy() : undefined
  }

  async function * digested (bytes: AsyncIterable<Buffer>, digest: RunningDigest): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      digest.update(chunk)
      yield chunk
    }
  }

  async function * stored ({ blobId }: UploadRecord, { start, size, signal }: { start: number, size: number, signal: AbortSignal }): AsyncGenerator<Buffer> {
    const bytes = await blobs.read(blobId, size, [{ start, end: size - 1 }])
    if (Buffer.isBuffer(bytes)) yield bytes
    else yield * addAbortSignal(signal, bytes)
  }

  /** Adds the bytes that follow to a digest. That of the parts before a wrong one stays cached. @throws file_damaged. */
  async function addRest (upload: UploadRecord, draft: Draft, { digest, signal }: { digest: RunningDigest, signal: AbortSignal }): Promise<RunningDigest> {
    const { size } = draft
    const parts = placesOf(blobs.partsOf?.(draft) ?? [{ size, sha256: undefined }]).filter(({ end }) => end > digest.size)
    const [{ start }] = parts as [Part]
    const bytes = untilAborted({ bytes: stored(upload, { start, size, signal }), confirm: undefined }, signal)
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
      if (sha256 !== undefined && hash.digest('hex') !== sha256) throw new Problem('file_damaged', { cause: new Error(`the bytes of draft ${upload.blobId} from ${start} to ${end} are not those that arrived`) })
      checked = next
      cached.set(upload.blobId, checked)
    }
    return checked
  }

  /** The digests of the whole upload. Reads what they do not cover yet. */
  async function complete (upload: UploadRecord, draft: Draft, { watched, reprDigests, signal }: Verification): Promise<RunningDigest> {
    const needed = reprDigests.flatMap(field => algorithmsIn(field))
    const known = watched?.digest ?? cached.get(upload.blobId)
    const digest = known !== undefined && known.size <= draft.size && known.covers(needed) ? known.copy() : createRunningDigest(needed)
    cached.set(upload.blobId, digest)
    return digest.size === draft.size ? digest : addRest(upload, draft, { digest, signal })
  }

  return {
    watch (upload, bytes) {
      const digest = start(upload)
      return digest === undefined ? { bytes, digest } : { bytes: digested(bytes, digest), digest }
    },

    cacheDigest ({ blobId }, { digest }, recordedBytes) {
      if (digest?.size === recordedBytes) cached.set(blobId, digest)
    },

    async verify (upload, draft, verification) {
      const digest = await complete(upload, draft, verification)
      for (const field of verification.reprDigests) requireDigests(digest, field)
      return digest.read('sha-256').toString('hex')
    }
  }
}

function placesOf (parts: readonly DraftPart[]): Part[] {
  let end = 0
  return parts.map(({ size, sha256 }) => {
    end += size
    return { start: end - size, end, sha256 }
  })
}

/** Cuts bytes where a part ends. They begin with the first part, and end with the last one. */
async function * inParts (bytes: AsyncIterable<Buffer>, parts: readonly Part[]): AsyncGenerator<Piece> {
  const following = parts.values()
  let part = following.next().value as Part
  let { start } = part
  for await (const chunk of bytes) {
    for (let rest = chunk; rest.length > 0;) {
      if (start === part.end) part = following.next().value as Part
      const piece = rest.subarray(0, part.end - start)
      yield { part, start, bytes: piece }
      start += piece.length
      rest = rest.subarray(piece.length)
    }
  }
}
