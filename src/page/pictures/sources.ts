import { kindOf } from '../files/kinds.ts'
import type { Bytes } from '../files/downloads.ts'
import { request } from '../requests.ts'
import { bytesAddress } from '../worker-link.ts'

/** The bytes of a picture or video, of which parts can be read. */
export interface Source {
  readonly name: string
  readonly type: string
  readonly size: number
  /** Whether the bytes are on this device, so that reading all of them costs little. */
  readonly isLocal: boolean
  /** Where an element of the page reads parts of a video; undefined if it can't. */
  readonly address?: string | undefined
  /** The bytes from `first` up to, not including, `end`. */
  readonly read: (first: number, end: number, signal?: AbortSignal) => Promise<Blob>
}

/** A stored content: of a file, with its digest, or of a version. */
export interface RemoteContent extends Bytes { readonly type: string, readonly sha256?: string }

/** Of a stored file or of one of its versions. Reads are refused once it has another content. */
export function remoteSource (content: RemoteContent): Source {
  const { name, type, size, version, sha256 } = content
  const tag = sha256 === undefined || version !== undefined ? '*' : `"${sha256}"`
  return {
    name,
    type,
    size,
    isLocal: false,
    address: kindOf(content) === 'video' ? bytesAddress(content) : undefined,
    read: async (first, end, signal) => {
      const range = first === 0 && end === size ? {} : { range: `bytes=${first}-${end - 1}` }
      // A request with a condition is never redirected to a bucket, from which the page may not load.
      const header = { ...range, 'if-match': tag }
      const params = { path: { name }, query: version === undefined ? {} : { version }, header }
      const init = { params, parseAs: 'blob', ...(signal && { signal }) } as const
      return await request(api => api.GET('/uploads/{name}', init)) ?? new Blob()
    }
  }
}

/** Of a file on this device, which is stored as `name` with this type. */
export function localSource ({ name, type }: { name: string, type: string }, file: File): Source {
  return {
    name, type, size: file.size, isLocal: true, read: (first, end) => Promise.resolve(file.slice(first, end, type))
  }
}
