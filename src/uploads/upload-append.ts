import type { Precondition } from '../metadata/preconditions.ts'
import type { UploadRecord } from '../metadata/upload-records.ts'
import { Problem } from '../problems.ts'

/** Bytes to be added to an upload. */
export interface UploadAppend {
  /** Where they begin. */
  readonly offset: number
  readonly bytes: AsyncIterable<Buffer>
  /** Their number, if it is announced. */
  readonly announcedBytes: number | undefined
  /** The length of the file, if this request announces it. */
  readonly length: number | undefined
  /** Whether the file ends with these bytes. */
  readonly isLast: boolean
  /**
   * To be called after the last byte: throws if the digest differs. Undefined without a digest. With one, the bytes are
   * kept all or not at all.
   */
  readonly confirm: (() => void) | undefined
  /** `Repr-Digest` of the file, once the bytes have ended: it may be a trailer field. */
  readonly reprDigest?: () => string | undefined
  /** Replaces the recorded precondition (ranged `PUT` only). */
  readonly precondition?: Precondition
  /** Replaces the recorded time, if it is told (ranged `PUT` only). */
  readonly modifiedAt?: number | null
  /** Aborted when the client is gone. */
  readonly clientGone?: AbortSignal
}

export const noBytes: Pick<UploadAppend, 'bytes' | 'confirm'> = { bytes: { async * [Symbol.asyncIterator] () {} }, confirm: undefined }

/** Aborted when either signal is. `other` is optional. */
export function either (signal: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? signal : AbortSignal.any([signal, other])
}

interface Confirmed { readonly bytes: AsyncIterable<Buffer>, readonly confirm: (() => void) | undefined }

/** Yields bytes until the signal aborts, whose reason it throws. Calls `confirm` after the last byte. */
export async function * untilAborted ({ bytes, confirm }: Confirmed, signal: AbortSignal): AsyncGenerator<Buffer> {
  const iterator = bytes[Symbol.asyncIterator]()
  // Not `Promise.race` with a promise of the abort: that promise would keep every chunk until it settles.
  const next = () => new Promise<IteratorResult<Buffer>>((resolve, reject) => {
    signal.onabort = () => reject(signal.reason)
    iterator.next().then(resolve, reject)
  })
  try {
    for (;;) {
      signal.throwIfAborted()
      const { done, value } = await next()
      if (done === true) break
      yield value
    }
    confirm?.()
  } finally {
    signal.onabort = null
    // Not waited for: after an abort the source may wait for its client.
    void Promise.allSettled([iterator.return?.()])
  }
}

/** The headers of a refused append: the state of the upload. */
export function offsetFields ({ offset, result }: UploadRecord): Record<string, string> {
  return { 'upload-offset': String(offset), 'upload-complete': result === undefined ? '?0' : '?1' }
}

/** @throws upload_offset_mismatch, with the offset of the upload. */
export function requireOffset (upload: UploadRecord, provided: number): void {
  const { offset } = upload
  if (provided === offset) return
  throw new Problem('upload_offset_mismatch', {
    detail: `The upload has ${offset} bytes, and the request begins at ${provided}.`,
    members: { 'expected-offset': offset, 'provided-offset': provided },
    headers: offsetFields(upload)
  })
}

/** @throws upload_completed if the request has bytes. */
export async function requireEmpty (append: UploadAppend, signal: AbortSignal): Promise<void> {
  if ((append.announcedBytes ?? 0) > 0) throw new Problem('upload_completed')
  for await (const chunk of untilAborted(append, signal)) if (chunk.length > 0) throw new Problem('upload_completed')
}
