import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { RequestObserver } from '../monitoring/request-observer.ts'

/**
 * Stores bytes by opaque id. This is the contract of every blob store; a store knows neither accounts nor file names.
 *
 * A blob is written once and never changed. `put` makes it durable but *pending*. The caller then commits the metadata
 * that refers to it, and calls `commit`. `remove` deletes it.
 *
 * After a crash there may be bytes without metadata. A store for one process finds them itself: `pending` lists the
 * blobs whose metadata may be missing, the caller commits those that have metadata and removes the others. The cost of
 * `pending` depends on the number of uploads in progress at the crash, not on the number of blobs. A store that
 * processes share can't tell which of them died: it `needsLeases`, which the caller records with the metadata before
 * `put` and ends with the commit.
 *
 * An id is 32 lower-case hex digits, random. Every method can throw `overloaded`, and `unavailable` if
 * the store can't be reached. What not every store can do is optional.
 */
export interface BlobStore {
  readonly needsLeases: boolean
  /** How long the bytes of a discarded blob are kept for readers: 0 if open readers survive the removal of a blob. */
  readonly graceSeconds: number
  /**
   * Stores `bytes`. Ends when the bytes and their name are on stable storage. Applies back pressure: at most 20 MiB are
   * in memory, or more for a file of more than 5 GB if `maxBytes` exceeds 24 GiB. If it fails for any reason, including
   * an error of the source, nothing is left behind, unless the store can't be reached.
   * @throws file_too_large beyond `maxBytes`; the rest of the source is not read.
   * @throws storage_full if the disk is full, or would have less free space than is to be kept.
   */
  put (id: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Write<StoredBlob>
  /**
   * To be called when the blob's metadata is committed. Never fails: a blob that can't be committed now is listed by
   * `pending` after a restart.
   */
  commit (id: string): void
  /** Whether a committed blob exists. */
  has (id: string): Promise<boolean>
  /** Checks that a blob has `size` bytes, without reading it. @throws file_damaged if not, or if it is missing. */
  check (id: string, size: number): Promise<void>
  /**
   * Reads a blob, or pieces of it in the given order: as a Buffer if the blob is small, else as a stream, which has
   * opened the blob. The stream fails if the blob turns out to be shorter, and closes the blob when it ends or is
   * destroyed. If all of a blob is read whose digest is given, a store on a network compares it: if it differs, the
   * stream fails before its end. Other stores need not.
   * @throws file_damaged if it is missing or has another size, or is small and has another digest.
   */
  read (blob: ReadBlob, pieces?: readonly Piece[]): Promise<Readable | Buffer>
  /**
   * Deletes blobs and drafts, and what unfinished calls of `put` left of them; missing ones are no error. Resolves with
   * the ids of those that no power failure can bring back. A blob that can't be deleted is not among them.
   */
  remove (ids: string[]): Promise<string[]>
  /** All committed blobs, in no order, with or without those added or removed meanwhile. For fsck and backup. */
  list (): AsyncIterable<string>
  /**
   * Writes a few bytes to stable storage and removes them.
   * @throws storage_full if an upload would, or what else makes writing fail. For monitoring.
   */
  probe (): Promise<void>
  /** Waits for operations in progress. */
  close (): Promise<void>

  readonly drafts: DraftStore
  readonly copies: CopyStore
  readonly marks: MarkStore
  /**
   * Moves a blob out of the store to where the operator finds it. A missing blob is no error. False if the store can't
   * move it. For fsck.
   */
  quarantine (id: string): Promise<boolean>
  /** Unless the store needs leases: the pending blobs of the last process. To be called at start. */
  pending? (): Promise<string[]>
  /**
   * If clients can reach the store: a URL from which a blob can be downloaded without credentials, for some time. Does
   * not check it.
   */
  presign? (id: string, options: Presigned): Promise<string>
  /** If the store is on a disk: the space where the bytes are stored. */
  readonly space?: SpaceOnDisk
  /** If the store is a server: calls `observer` after every request to it, repetitions included. For monitoring. */
  watchRequests? (observer: RequestObserver): void
}

/** Blobs that are written in several calls. */
export interface DraftStore {
  /**
   * Appends `bytes` to a draft. Ends with the draft when all of them are on stable storage, and it was given for
   * record. While they arrive it is given at least after each 64 MiB and each 5 s, and nothing more is taken until it
   * is recorded. If `bytes` fail or are too many, the draft with what arrived before is given, and then the append
   * fails with their error.
   *
   * A draft begins with size 0 and no state. An append continues the draft that was recorded last, and drops what was
   * written beyond it. A process whose append was superseded by another process may still be writing: its writes change
   * nothing that is recorded, and the store deletes what only it has written.
   * @throws file_too_large if the draft would have more than `maxBytes`, storage_full.
   */
  append (id: string, draft: Draft, bytes: AsyncIterable<Uint8Array>, options: AppendOptions): Write<Draft>
  /**
   * Makes a blob of a draft that was recorded with all its bytes: nothing is appended to it from then on. Can be
   * repeated, by any process, because the outcome of an earlier call may be unknown.
   */
  finish (id: string, draft: Draft): Promise<void>
  /**
   * If bytes may change on their way from the store: the parts of a draft in their order, with their digests, which the
   * reader compares.
   */
  partsOf? (draft: Draft): readonly DraftPart[]
}

/** Copies of blobs. If the store can, their bytes do not pass through this process: by hard links or in the bucket. */
export interface CopyStore {
  /**
   * Stores the bytes of a blob once more under a new id, like `put`.
   * @throws file_damaged if the blob is missing or has another size, storage_full.
   */
  copy (blob: StoredBlob, id: string, options: PutOptions): Write<void>
  /**
   * Puts a blob's bytes into a new file at `path`, outside the store: as a hard link if the store can, else as one to
   * `equal`, which has the same bytes, else as a copy on stable storage. The file is complete or does not exist. For
   * backup.
   * @throws file_damaged if the blob is missing, has another size or, when it is copied, another digest.
   * @throws storage_full if there is no space at `path`.
   */
  copyTo (blob: StoredBlob, path: string, equal?: string): Promise<'linked' | 'copied'>
}

/** Marks of the installations that the store belongs to. A blob never has the name of a mark. */
export interface MarkStore {
  /** In no order. */
  list (): Promise<string[]>
  /** Adds a mark, on stable storage. The name has letters, digits, dots and hyphens. */
  add (name: string): Promise<void>
  /** A missing one is no error. */
  remove (name: string): Promise<void>
}

/** What tells whom a store belongs to, read only. */
export interface BlobView extends Pick<BlobStore, 'has'> { readonly marks: Pick<MarkStore, 'list'> }

/** The space on a disk. */
export interface SpaceOnDisk {
  /** Checks that this many bytes could be stored now. @throws storage_full. */
  check (bytes: number, allowance?: DiskAllowance): Promise<void>
  /** How much must be freed before this many bytes can be stored; 0 or less if nothing. */
  missing (bytes: number): Promise<number>
  measure (): Promise<DiskSpace>
}

/** What a presigned URL answers with. */
export interface Presigned {
  /** How long a download can begin. */
  readonly seconds: number
  /** `Content-Type` of the response. */
  readonly type: string
  /** `Content-Disposition` of the response. */
  readonly disposition: string
}

/** How far a draft is on stable storage. */
export interface Draft {
  /** Bytes. */
  readonly size: number
  /** What the store needs to continue; null at the beginning. Opaque to the caller. */
  readonly state: string | null
}

/** Bytes of a draft that were stored together. `sha256` is of the bytes as they arrived; old drafts lack it. */
export interface DraftPart { readonly size: number, readonly sha256: string | undefined }

/**
 * What a write waits for before it goes on, because only its caller can do it.
 *
 * `record`: records the draft. `isLast`: the bytes have ended. The answer is false if the draft recorded before stays,
 * which is then continued. Fails with {@link Superseded} if another append has taken the draft over, or the upload has
 * ended.
 *
 * `check`: fails if metadata no longer refer to the draft, for which `remove` may have been called already. Comes
 * before an append makes something that only `remove` deletes.
 *
 * `disk`: frees so many bytes on the disk. They did not fit, for the reason in `error`.
 */
export type WriteStep =
  | { readonly kind: 'record', readonly draft: Draft, readonly isLast: boolean }
  | { readonly kind: 'check' }
  | { readonly kind: 'disk', readonly bytes: number, readonly error: unknown }

/** A write, step by step. It fails if a step does. */
export type Write<T> = AsyncGenerator<WriteStep, T, boolean>

/** What a caller does for a write. Only an append asks for the first two. */
export interface WriteSteps {
  readonly record?: ((draft: Draft, at: { isLast: boolean }) => Promise<boolean>) | undefined
  readonly check?: (() => Promise<unknown>) | undefined
  /** Without it, a full disk fails at once. @throws storage_full if so many bytes can't be freed. */
  readonly freeDisk?: FreeDisk | undefined
}

/** Frees so many bytes on the disk where blobs are stored. */
export type FreeDisk = (bytes: number) => Promise<void>

/** For a store on a disk: which space bytes may take. */
export interface DiskAllowance {
  /** Must leave twice the minimum free. */
  readonly leavesDouble?: boolean | undefined
}

/** The limit of a blob, and the space for it. */
export interface PutOptions extends DiskAllowance {
  readonly maxBytes: number
  /**
   * Descriptor of an open file with these bytes: a store on a disk shares its blocks where it can, and then does not
   * read `bytes`.
   */
  readonly source?: number | undefined
}

/** `maxBytes`: of the whole draft. */
export interface AppendOptions extends PutOptions {
  /** Whether the bytes are kept all or not at all: then the draft has none of them before they have ended. */
  readonly isAtomic?: boolean
}

/**
 * A draft can't be recorded any more. `recorded` is the one that is recorded now, whose bytes must stay; undefined if
 * the upload has ended.
 */
export class Superseded extends Error {
  readonly recorded: Draft | undefined

  constructor (recorded: Draft | undefined, options?: ErrorOptions) {
    super('another append has superseded this one', options)
    this.recorded = recorded
  }
}

/** All values in bytes. */
export interface DiskSpace {
  readonly free: number
  readonly total: number
  /** The part of `free` that uploads do not use. */
  readonly reserved: number
}

/** What is known of a blob once its bytes are on stable storage. */
export interface StoredBlob {
  readonly id: string
  /** Bytes. */
  readonly size: number
  /** 64 lower-case hex digits. */
  readonly sha256: string
}

/** What is known of a blob that is read. */
export type ReadBlob = Pick<StoredBlob, 'id' | 'size'> & { readonly sha256?: string | undefined }

/** A text that is sent as it is, or a range of bytes, both ends included. */
export type Piece = string | { readonly start: number, readonly end: number }

/** The SHA-256 of what was read of a blob, in hex. */
export async function digestOf (read: Readable | Buffer): Promise<string> {
  const digest = createHash('sha256')
  for await (const chunk of Buffer.isBuffer(read) ? [read] : read) digest.update(chunk as Buffer)
  return digest.digest('hex')
}

/** All of a blob as one piece. */
export function wholeOf (size: number): Piece[] {
  return [{ start: 0, end: size - 1 }]
}

/** The number of bytes in pieces. */
export function bytesIn (pieces: readonly Piece[]): number {
  const sizeOf = (piece: Piece) => typeof piece === 'string' ? Buffer.byteLength(piece) : piece.end - piece.start + 1
  return pieces.reduce((sum, piece) => sum + sizeOf(piece), 0)
}

/** The pieces, in order, of a blob in memory. A single piece is not copied: it shares the memory of `bytes`. */
export function cutPieces (bytes: Buffer, pieces: readonly Piece[]): Buffer {
  const parts = pieces.map(piece =>
    typeof piece === 'string' ? Buffer.from(piece) : bytes.subarray(piece.start, piece.end + 1))
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
}
