import { createHash } from 'node:crypto'
import { addAbortSignal } from 'node:stream'
import { LRUCache } from 'lru-cache'
import type { BlobStore, Draft, DraftPart } from '../blobs/blob-store.ts'
import { algorithmsIn, requireDigests, RunningDigest } from '../files/digests.ts'
import type { UploadRecord } from '../metadata/upload-records.ts'
import { Problem } from '../problems.ts'
import { untilAborted } from './upload-append.ts'

/** Uploads whose digests are cached between two requests: 1 kB each. */
const MAX_CACHED = 10_000

/** The bytes of an append. Reading them updates `digest`, which is undefined if that of the bytes before is unknown. */
export interface WatchedBytes { readonly bytes: AsyncIterable<Buffer>, readonly digest: RunningDigest | undefined }

/** Where bytes that were stored together begin and end, and their SHA-256 if known. */
interface KnownPart { readonly start: number, readonly end: number, readonly sha256: string | undefined }

interface PieceOfPart { readonly part: KnownPart, readonly start: number, readonly bytes: Buffer }

interface Rest { readonly digest: RunningDigest, readonly signal: AbortSignal }

interface RestOfDraft { readonly start: number, readonly size: number, readonly signal: AbortSignal }

interface Verification {
  /** The end of the upload, if it has just arrived. */
  readonly watched?: WatchedBytes | undefined
  /** The fields that clients sent. */
  readonly reprDigests: readonly (string | undefined)[]
  /** Ends the reading of bytes, with its reason. What was read is not read again. */
  readonly signal: AbortSignal
}

/**
 * The digests of an upload that arrives in several requests: SHA-256, and what its `Repr-Digest` asks for.
 *
 * Running digests are kept in memory. If one is missing (received by another process, or before a restart) or lacks an
 * algorithm, the bytes are read once more at the end: once per upload, however often it is interrupted or refused.
 * Digests whose state can be stored need WebAssembly, which is six times as slow.
 */
export class ContentDigests {
  readonly #blobs: BlobStore
  readonly #cached = new LRUCache<string, RunningDigest>({ max: MAX_CACHED })

  constructor (blobs: BlobStore) {
    this.#blobs = blobs
  }

  watch (upload: UploadRecord, bytes: AsyncIterable<Buffer>): WatchedBytes {
    const digest = this.#start(upload)
    return digest === undefined ? { bytes, digest } : { bytes: digested(bytes, digest), digest }
  }

  /** Caches the digest of what `watch` returned, if it is that of the recorded bytes, which never change. */
  cacheDigest ({ blobId }: UploadRecord, { digest }: WatchedBytes, recordedBytes: number): void {
    if (digest?.size === recordedBytes) this.#cached.set(blobId, digest)
  }

  /**
   * The SHA-256 of the whole upload, whose draft must be recorded and readable.
   * @throws digest_mismatch if it does not match each of `reprDigests`; file_damaged if bytes that were read are not
   * those that arrived.
   */
  async verify (upload: UploadRecord, draft: Draft, { watched, reprDigests, signal }: Verification): Promise<string> {
    const needed = reprDigests.flatMap(field => algorithmsIn(field))
    const known = watched?.digest ?? this.#cached.get(upload.blobId)
    const isUseful = known !== undefined && known.size <= draft.size && known.covers(needed)
    let digest = isUseful ? known.copy() : new RunningDigest(needed)
    this.#cached.set(upload.blobId, digest)
    if (digest.size < draft.size) digest = await this.#addRest(upload, draft, { digest, signal })
    for (const field of reprDigests) requireDigests(digest, field)
    return digest.read('sha-256').toString('hex')
  }

  #start ({ blobId, offset, reprDigest }: UploadRecord): RunningDigest | undefined {
    if (offset === 0) return new RunningDigest(algorithmsIn(reprDigest ?? undefined))
    const known = this.#cached.get(blobId)
    return known?.size === offset ? known.copy() : undefined
  }

  /**
   * Adds the bytes that a digest lacks. If a part is damaged, the digest of the parts before it stays cached.
   * @throws file_damaged.
   */
  async #addRest ({ blobId }: UploadRecord, draft: Draft, { digest, signal }: Rest): Promise<RunningDigest> {
    const { size } = draft
    const stored = this.#blobs.drafts.partsOf?.(draft) ?? [{ size, sha256: undefined }]
    const parts = placesOf(stored).filter(({ end }) => end > digest.size)
    const [{ start }] = parts as [KnownPart]
    const bytes = untilAborted({ bytes: this.#read(blobId, { start, size, signal }), confirm: undefined }, signal)
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
      this.#cached.set(blobId, checked)
    }
    return checked
  }

  async * #read (blobId: string, { start, size, signal }: RestOfDraft): AsyncGenerator<Buffer> {
    const bytes = await this.#blobs.read({ id: blobId, size }, [{ start, end: size - 1 }])
    if (Buffer.isBuffer(bytes)) yield bytes
    else yield * addAbortSignal(signal, bytes)
  }
}

async function * digested (bytes: AsyncIterable<Buffer>, digest: RunningDigest): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    digest.update(chunk)
    yield chunk
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
