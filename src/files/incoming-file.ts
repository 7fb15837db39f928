import type { Conditions } from '../metadata/conditions.ts'
import type { NewLock } from '../metadata/lock-records.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { Uploader } from './uploader.ts'

/** A file in the body of a request. */
export interface IncomingFile {
  /** As sent, not yet normalised. */
  readonly name: string
  /** Declared media type, unchecked. */
  readonly type: string | undefined
  readonly bytes: AsyncIterable<Uint8Array>
}

/** The body of a request that has not been read yet. Only the body tells the name of a file for a `folder`. */
export type IncomingBody = UnreadBody & ({ readonly name: string } | { readonly folder: string })

interface UnreadBody {
  /** The file has at least this many bytes, as announced. */
  readonly minBytes: number
  /** The file has at most this many bytes, as announced. */
  readonly maxBytes: number
  /**
   * Reads the whole body and calls `use` once, with its file. Rejects if `use` does or the body is wrong, even after
   * `use` was called.
   */
  read (use: (file: IncomingFile) => Promise<void>): Promise<void>
  /** The client's time of the content, once the body has been read; by default it is not told. */
  modifiedAt? (): number | null
}

/**
 * `create` needs a free name; `put` also replaces a file, if the conditions permit it. `lock`: also locks it. `link`
 * adds a file to the folder of a link, under a free name.
 */
export type StoreRequest = { readonly owner: AccountRecord, readonly upload: IncomingBody } & (
  | { readonly mode: 'create' }
  | { readonly mode: 'put', readonly precondition: Conditions, readonly lock?: NewLock }
  | { readonly mode: 'link', readonly linkId: number })

/** Who stores the file. */
export function uploaderOf (request: StoreRequest): Uploader {
  return { owner: request.owner, linkId: request.mode === 'link' ? request.linkId : null }
}
