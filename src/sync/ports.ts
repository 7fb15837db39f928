import type { BaseRow, Kind } from './plan.ts'

/** What `lstat` says of a path. */
export interface DiskEntry {
  readonly kind: Kind | 'other'
  readonly inode: string
  /** `inode`, and of a file size, time of its content and time of its last change of any kind, in this order. */
  readonly stamp: string
  readonly size: number
  /** In milliseconds, by the clock of the disk. */
  readonly changedAt: number
}

/** The folder on this computer. Paths are relative to it, with `/`. What fails throws with the code of the system. */
export interface Disk {
  /** Undefined if nothing is there. */
  stat (path: string): DiskEntry | undefined
  /** The names in a folder; undefined if it can't be read. */
  list (path: string): string[] | undefined
  /** Undefined if the file changed meanwhile. */
  hash (path: string): Promise<{ stamp: string, sha256: string } | undefined>
  makeFolder (path: string): void
  removeFolder (path: string): void
  rename (from: string, to: string): void
  /** Gives a file another name, which nothing may have. */
  move (from: string, to: string): void
  unlink (path: string): void
  /** The clock of the disk, in milliseconds. */
  now (): number
  /** A clock that nobody sets, in milliseconds. */
  elapsed (): number
}

/** A file or folder as the server describes it. */
export interface ServerEntry {
  readonly id: string
  /** Null for the root of the account. */
  readonly parentId: string | null
  /** The last segment. */
  readonly name: string
  readonly kind: Kind
  readonly sha256: string
  readonly size: number
  readonly modifiedAt: string | null
}

/** Why the server lists everything again. */
export type ResyncReason = 'first' | 'restored' | 'expired'

export interface FeedPage {
  /** The id of each, and what it is now; undefined if it is gone. */
  readonly changes: readonly (readonly [id: string, entry: ServerEntry | undefined])[]
  readonly next: string
  readonly reason: ResyncReason | undefined
}

export interface SentFile {
  /** On the server. */
  readonly path: string
  readonly folderId: string
  /** The file on this computer, with the bytes of `sha256`. */
  readonly source: string
  readonly sha256: string
  readonly size: number
  /** The bytes to replace; undefined to create only. */
  readonly replaces: string | undefined
}

export interface RemoteTarget { readonly kind: Kind, readonly path: string, readonly id: string }

export interface WantedFile {
  readonly sha256: string
  readonly size: number
  readonly modifiedAt: string | null
  /** A new path, to which exactly these bytes are written, or nothing. */
  readonly to: string
  /** A file on this computer that has the permissions of the new one. */
  readonly like: string | undefined
}

/** The server. Each call is one request, and rejects with a {@link RemoteError}. */
export interface Remote {
  changes (cursor: string | undefined): Promise<FeedPage>
  list (kind: Kind, cursor: string | null): Promise<{ entries: readonly ServerEntry[], next: string | null }>
  upload (upload: SentFile): Promise<ServerEntry>
  /** Without the id of its folder, missing ones are made, too. */
  makeFolder (path: string, folderId?: string): Promise<ServerEntry>
  move (target: RemoteTarget, to: string, folderId: string): Promise<ServerEntry>
  /** `sha256`: of a file, its bytes. */
  remove (target: RemoteTarget, sha256: string): Promise<void>
  download (target: RemoteTarget, download: WantedFile): Promise<void>
}

/** A request that failed. */
export class RemoteError extends Error {
  /** Undefined without a response. */
  readonly status: number | undefined
  /** How long the server asks to wait, in seconds. */
  readonly retryAfter: number

  constructor (status: number | undefined, message: string, { cause, retryAfter = 0 }: RemoteErrorOptions = {}) {
    super(message, { cause })
    this.status = status
    this.retryAfter = retryAfter
  }

  /** Whether it says nothing about the request, which may be sent again: no response, or a server that is busy. */
  get isCut (): boolean {
    const { status = 500 } = this
    return status === 408 || status === 429 || (status >= 500 && status !== 507)
  }
}

interface RemoteErrorOptions { readonly cause?: unknown, readonly retryAfter?: number }

/** How long to wait after so many failures in a row: a pause that doubles, or as long as the server asks. */
export function pauseAfter (error: RemoteError, failures: number, firstMilliseconds: number): number {
  return Math.max(firstMilliseconds * 2 ** failures, Math.min(error.retryAfter, MAX_RETRY_SECONDS) * 1000)
}

/** A server or proxy must not stop a run for a day. */
const MAX_RETRY_SECONDS = 600

/** An act on the server that is under way. Its answer may be lost. */
export interface Doing {
  readonly what: 'upload' | 'move' | 'delete'
  /** What the base has after it. */
  readonly row: BaseRow
  /** Where the file or folder was before a move. */
  readonly from: string
}

/** Undefined removes. */
type Entries<T> = Iterable<readonly [string, T | undefined]>

export interface StateChange {
  /** What is emptied before the rest. */
  readonly clear?: readonly ('base' | 'mirror' | 'doing')[]
  readonly base?: Entries<BaseRow>
  readonly mirror?: Entries<ServerEntry>
  readonly doing?: Entries<Doing>
  readonly cursor?: string
}

/** What is kept between two runs. */
export interface State {
  /** By key. */
  readonly base: ReadonlyMap<string, BaseRow>
  /** By id. */
  readonly mirror: ReadonlyMap<string, ServerEntry>
  /** By key. */
  readonly doing: ReadonlyMap<string, Doing>
  readonly cursor: string | undefined
  /** One transaction. */
  commit (change: StateChange): void
}
