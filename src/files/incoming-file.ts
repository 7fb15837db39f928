import type { Conditions } from '../metadata/conditions.ts'
import type { NewLock } from '../metadata/lock-records.ts'
import type { AccountRecord } from '../metadata/records.ts'

/** A file in the body of a request. */
export interface IncomingFile {
  /** As sent, not yet normalised. */
  readonly name: string
  /** Declared media type, unchecked. */
  readonly type: string | undefined
  readonly bytes: AsyncIterable<Uint8Array>
  /** Of an import: descriptor of an open file with these bytes. */
  readonly source?: number
}

/** The body of a request that has not been read yet. For a `folder`, the name comes from the body. */
export type IncomingBody = UnreadBody & ({ readonly name: string } | { readonly folder: string })

interface UnreadBody {
  /** The file has at least this many bytes, as announced. */
  readonly minBytes: number
  /** The file has at most this many bytes, as announced. */
  readonly maxBytes: number
  /**
   * Yields one file. Read its bytes, then continue the iteration: it throws if the trailing data or digest is wrong.
   */
  read (): AsyncIterable<IncomingFile>
  /** The client's time of the content, once the body has been read; by default it is not told. */
  modifiedAt? (): number | null
}

/** Who stores a file: the owner, or with `linkId` a visitor by a link to one of the owner's folders. */
export interface Uploader {
  readonly owner: AccountRecord
  readonly linkId: number | null
  /** The only name that the link accepts; null for any. */
  readonly onlyName?: string | null
}

/** A file to be stored: under a free name of the folder by a link, else under its own, which has to be free. */
export interface StoreRequest {
  readonly uploader: Uploader
  readonly upload: IncomingBody
  /** Of the owner: also replaces a file, if the conditions permit it. With `lock`, it replaces none and is locked. */
  readonly put?: { readonly conditions: Conditions, readonly lock?: NewLock }
}
