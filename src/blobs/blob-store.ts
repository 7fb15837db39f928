import { randomBytes } from 'node:crypto'
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
 * An id is 32 lower-case hex digits, random (`createBlobId`). Every method can throw `overloaded`, and `unavailable` if
 * the store can't be reached.
 */
export interface BlobStore {
  readonly needsLeases: boolean
  /** How long the bytes of a discarded blob are kept for readers: 0 if open readers survive the removal of a blob. */
  readonly graceSeconds: number
  /**
   * Stores `bytes`. Resolves when the bytes and their name are on stable storage. Applies back pressure: at most 20 MiB
   * are in memory, or more for a file of more than 5 GB if `maxBytes` exceeds 24 GiB. If it fails for any reason,
   * including an error of the source, nothing is left behind, unless the store can't be reached.
   * @throws file_too_large beyond `maxBytes`; the rest of the source is not read.
   * @throws storage_full if the disk is full, or would have less free space than is to be kept.
   */
  put (id: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredBlob>
  /**
   * Appends `bytes` to a draft, a blob that is written in several calls. Resolves with the draft when all of them are
   * on stable storage, and saved. While they arrive they are saved at least after each 64 MiB and each 5 s. The append
   * goes on meanwhile, but takes no more than another 64 MiB until that is done; if it fails, the append stops with its
   * error. If `bytes` fail or are too many, what arrived before is saved, and then the append fails with their error.
   *
   * A draft begins with size 0 and no state. An append continues the draft that was saved last, and drops what was
   * written beyond it. A process whose append was superseded by another process may still be writing: its writes change
   * nothing that is saved, and the store deletes what only it has written.
   * @throws file_too_large if the draft would have more than `maxBytes`, storage_full, and what `save` rejects with.
   */
  append (id: string, draft: Draft, bytes: AsyncIterable<Uint8Array>, options: AppendOptions): Promise<Draft>
  /**
   * Makes a blob of a draft that was saved with all its bytes: nothing is appended to it from then on. Can be repeated,
   * by any process, because the outcome of an earlier call may be unknown.
   */
  finish (id: string, draft: Draft): Promise<void>
  /** Checks that this many bytes could be stored now. @throws storage_full. */
  requireSpace (bytes: number, room?: Pick<Room, 'leavesDouble'>): Promise<void>
  /**
   * To be called when the blob's metadata is committed. Never fails: a blob that can't be committed now is listed by
   * `pending` after a restart.
   */
  commit (id: string): void
  /** Checks that a blob has `size` bytes, without reading it. @throws file_damaged if not, or if it is missing. */
  check (id: string, size: number): Promise<void>
  /**
   * Reads pieces of a blob that must have `size` bytes, in the given order: as a Buffer if the blob is small, else as a
   * stream, which has opened the blob. The stream fails if the blob turns out to be shorter, and closes the blob when
   * it ends or is destroyed.
   * @throws file_damaged if it is missing or has another size.
   */
  read (id: string, size: number, pieces: readonly Piece[]): Promise<Readable | Buffer>
  /**
   * Reads all bytes of a blob that is not empty, like `read`. A store on a network also compares them with their
   * digest: if it differs, the stream fails before its end. Other stores need not.
   * @throws file_damaged if it is missing or has another size, or is small and has another digest.
   */
  readWhole (blob: StoredBlob): Promise<Readable | Buffer>
  /**
   * Stores the bytes of a blob once more under a new id, like `put`, but they do not pass through this process if the
   * store can: as a hard link, or by a copy in the bucket.
   * @throws file_damaged if the blob is missing or has another size, storage_full.
   */
  copy (blob: StoredBlob, id: string, options: PutOptions): Promise<void>
  /**
   * Puts a blob's bytes into a new file at `path`, outside the store: as a hard link if the store can, else as one to
   * `equal`, which has the same bytes, else as a copy on stable storage. The file is complete or does not exist. For
   * backup.
   * @throws file_damaged if the blob is missing, has another size or, when it is copied, another digest.
   * @throws storage_full if there is no space at `path`.
   */
  copyTo (blob: StoredBlob, path: string, equal?: string): Promise<'linked' | 'copied'>
  /**
   * Deletes blobs and drafts, and what unfinished calls of `put` left of them; missing ones are no error. Resolves with
   * the ids of those that no power failure can bring back. A blob that can't be deleted is not among them.
   */
  remove (ids: string[]): Promise<string[]>
  /** The pending blobs of the last process. To be called at start. Empty if the store needs leases. */
  pending (): Promise<string[]>
  /** All committed blobs, in no order, with or without those added or removed meanwhile. For fsck and backup. */
  committed (): AsyncIterable<string>
  /** Whether a committed blob exists. For fsck. */
  has (id: string): Promise<boolean>
  /** Marks of the installations that the store belongs to, in no order. A blob never has the name of a mark. */
  marks (): Promise<string[]>
  /** Adds a mark, on stable storage. The name has letters, digits, dots and hyphens. */
  mark (name: string): Promise<void>
  /** Removes a mark. A missing one is no error. */
  unmark (name: string): Promise<void>
  /**
   * Writes a few bytes to stable storage and removes them.
   * @throws storage_full if an upload would, or what else makes writing fail. For monitoring.
   */
  probe (): Promise<void>
  /** Waits for operations in progress. */
  close (): Promise<void>

  /**
   * Moves a blob out of the store to where the operator finds it. A missing blob is no error. False if the store can't
   * move it. For fsck.
   */
  quarantine (id: string): Promise<boolean>
  /**
   * If bytes may change on their way from the store: the parts of a draft in their order, with their digests, which the
   * reader compares.
   */
  partsOf? (draft: Draft): readonly DraftPart[]
  /**
   * If clients can reach the store: a URL from which a blob can be downloaded without credentials, for some time. Does
   * not check it.
   */
  presign? (id: string, options: Presigned): Promise<string>
  /** If the store is on a disk: how much must be freed before this many bytes can be stored; 0 or less if nothing. */
  missingSpace? (bytes: number): Promise<number>
  /** If the store is on a disk: the space where the bytes are stored. For monitoring. */
  space? (): Promise<DiskSpace>
  /** If the store is a server: calls `observer` after every request to it, repetitions included. For monitoring. */
  watchRequests? (observer: RequestObserver): void
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
 * Makes room for so many bytes, on the disk where the bytes are stored. The store calls it when they do not fit, and
 * then tries once more.
 * @throws storage_full if there can't be room for them.
 */
export type MakeRoom = (bytes: number) => Promise<void>

/** For a store on a disk: which space bytes may take. */
export interface Room {
  /** Without it, a full disk fails at once. */
  readonly makeRoom?: MakeRoom
  /** They leave twice as much free as others must. */
  readonly leavesDouble?: boolean
}

/** The limit of a blob, and the space for it. */
export interface PutOptions extends Room { readonly maxBytes: number }

/** The limit of an append, and where its progress is recorded. */
export interface AppendOptions extends PutOptions {
  /** Of the whole draft. */
  readonly maxBytes: number
  /**
   * Records a draft, and resolves with the recorded one: this draft, or the one before, which is then to be continued.
   * `isLast`: the bytes have ended. Rejects with {@link Superseded} if another append has taken the draft over, or the
   * upload has ended.
   */
  readonly save: (draft: Draft, at: { isLast: boolean }) => Promise<Draft>
  /**
   * Whether the bytes are kept all or not at all: then none are saved before they have ended. `save` may still be
   * called with the same size and a new state: it claims part numbers before they are used.
   */
  readonly isAtomic?: boolean
  /**
   * Rejects if metadata no longer refer to the draft: `remove` may have been called for it already. Called before an
   * append makes something that only `remove` deletes. If it rejects, the append leaves nothing behind and fails with
   * its error. A store that does not need this never calls it.
   */
  readonly checkCurrent?: () => Promise<unknown>
}

/**
 * A draft can't be saved any more. `recorded` is the one that is recorded now, whose bytes must stay; undefined if the
 * upload has ended.
 */
export class Superseded extends Error {
  readonly recorded: Draft | undefined

  constructor (recorded: Draft | undefined, options?: ErrorOptions) {
    super('another append has superseded this one', options)
    this.recorded = recorded
  }
}

/** A new random id. */
export function createBlobId (): string {
  return randomBytes(16).toString('hex')
}

/** Whether a text can be an id. Not every text can be given to every backend. */
export function isBlobId (text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text)
}

/** All values in bytes. */
export interface DiskSpace {
  readonly free: number
  readonly total: number
  /** The part of `free` that uploads do not use. */
  readonly kept: number
}

/** What is known of a blob once its bytes are on stable storage. */
export interface StoredBlob {
  readonly id: string
  /** Bytes. */
  readonly size: number
  /** 64 lower-case hex digits. */
  readonly sha256: string
}

/** A text that is sent as it is, or a range of bytes, both ends included. */
export type Piece = string | { readonly start: number, readonly end: number }

/** The number of bytes in pieces. */
export function bytesIn (pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + (typeof piece === 'string' ? Buffer.byteLength(piece) : piece.end - piece.start + 1), 0)
}

/** The pieces, in order, of a blob in memory. A single piece is not copied: it shares the memory of `bytes`. */
export function cutPieces (bytes: Buffer, pieces: readonly Piece[]): Buffer {
  const parts = pieces.map(piece => typeof piece === 'string' ? Buffer.from(piece) : bytes.subarray(piece.start, piece.end + 1))
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
}

/**
 * Disk space that is allocated in advance, and released when the disk is full, so that reads, deletes and restarts
 * work.
 */
export interface Reserve {
  /** Bytes that uploads must keep free until the reserve is complete again; 0 if it is complete. */
  readonly missingBytes: number
  /** Runs an operation. While it fails because the disk is full, releases a part of the reserve and runs it again. */
  readonly withSpace: <T>(operation: () => Promise<T>) => Promise<T>
  /** Fills the reserve again if there is space. Never fails. */
  restore (): Promise<void>
}
