import type { Readable } from 'node:stream'

/**
 * Bytes by opaque id: the contract that every blob store keeps. A store knows no users and no names.
 *
 * A blob is written once and never changed. Its life: `put` makes it durable but *pending*; the caller commits the fact
 * that it belongs to a file and then calls `commit`; `remove` ends it. After a crash `pending` names the blobs whose
 * fact may be missing, and the caller commits those that have one and removes the others. Naming them costs what was in
 * flight, never what is stored. An id is 32 lower-case hex digits, random.
 *
 * Whoever reads a blob when it is removed reads on to its end.
 */
export interface BlobStore {
  /**
   * Stores `bytes` and resolves when they and their place are on stable storage. Takes `bytes` with back pressure: at
   * most a few MiB are in memory. Whatever ends it early, a throw of the source included, leaves nothing behind.
   * @throws file_too_large beyond `maxBytes`; the rest of the source is left unread.
   * @throws storage_full where the disk has no room left, or would have less than is to be kept free.
   */
  put (bytes: AsyncIterable<Uint8Array>, limits: { maxBytes: number }): Promise<StoredBlob>
  /** Checks that this many bytes could be stored now. @throws storage_full. */
  requireSpace (bytes: number): Promise<void>
  /** The blob's fact is committed. Never fails: a blob that could not be committed yet is named again after a restart. */
  commit (id: string): void
  /** Checks that a blob has `size` bytes, without opening it. @throws file_damaged if not, or if it is missing. */
  check (id: string, size: number): Promise<void>
  /** Opens a blob that must have `size` bytes; the caller closes it. @throws file_damaged where it is gone or of another size. */
  open (id: string, size: number): Promise<OpenBlob>
  /**
   * Puts a blob's bytes into a new file outside the store, at `path`: by a hard link where the file system allows it, so that
   * both are the same bytes on the disk, else as a copy on stable storage. The file is there whole or not at all. For backup.
   * @throws file_damaged where the blob is gone, of another size or, as far as it was read, of another digest.
   * @throws storage_full where there is no room at `path`.
   */
  copyTo (blob: StoredBlob, path: string): Promise<'linked' | 'copied'>
  /**
   * Removes the bytes of these blobs; it is no error if they are gone. Resolves with the ids of those that no power cut brings
   * back; one that the disk refuses to give up is not among them.
   */
  remove (ids: string[]): Promise<string[]>
  /** The blobs that were put and pending, as found at the start. */
  pending (): Promise<string[]>
  /** Every committed blob, in no order; one that comes or goes meanwhile may be named or not. For fsck and backup. */
  committed (): AsyncIterable<string>
  /** Whether a committed blob is there. For fsck. */
  has (id: string): Promise<boolean>
  /** Takes a blob out of the store without destroying it, to where an operator finds it. It is no error if it is gone. For fsck. */
  quarantine (id: string): Promise<void>
  /** Room where the bytes are. For monitoring. */
  space (): Promise<DiskSpace>
  /** Writes a few bytes to stable storage and removes them. @throws storage_full where an upload would, or what else stands in the way. For monitoring. */
  probe (): Promise<void>
  /** Waits for what was begun. */
  close (): Promise<void>
}

/** All in bytes. */
export interface DiskSpace {
  readonly free: number
  readonly total: number
  /** What of the free ones uploads leave alone. */
  readonly kept: number
}

export interface StoredBlob {
  readonly id: string
  /** Bytes. */
  readonly size: number
  /** 64 lower-case hex digits. */
  readonly sha256: string
}

/** A piece of what is read: text that goes with the bytes, or a range of them with both ends included. */
export type Piece = string | { readonly start: number, readonly end: number }

export interface OpenBlob {
  /**
   * The bytes of each range from `start` to `end`, both included, and each text as it stands, one after the other. The
   * stream fails where the blob is found shorter on the way. When it ends or is destroyed, the blob is closed.
   */
  read (...pieces: Piece[]): Readable
  close (): Promise<void>
}

/** Room on the disk that is taken in good time and given up for what must work when the disk is full: reads, deletes and restarts. */
export interface Reserve {
  /** Bytes that uploads must leave alone until the reserve is whole again; 0 while it is. */
  readonly missingBytes: number
  /** Runs `act`; where it fails for want of room, gives some of the reserve up and runs it again. */
  lend<T> (act: () => Promise<T>): Promise<T>
  /** Makes the reserve again if it was given up and there is room. Never fails. */
  restore (): Promise<void>
}
