import type { BlobStore } from '../blobs/blob-store.ts'
import type { DownloadPlan, DownloadRequest } from './download.ts'

/** Smaller downloads are not redirected: a second request would take longer than the bytes. */
const MIN_BYTES = 5 * 1024 ** 2

/** The client repeats its headers at the other address, where other entity tags and dates are compared, and no digest is known. */
const UNREDIRECTED = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'want-repr-digest'] as const

interface Redirect {
  readonly file: { readonly blobId: string, readonly size: number, readonly type: string }
  readonly request: DownloadRequest
  readonly plan: DownloadPlan
  /** How long the URL is valid; 0 if there is to be none. */
  readonly seconds: number
}

/**
 * Sends the client of a large download to the store of the bytes, if that can serve clients: with one range or none, because
 * it can't send several, and without conditions. Otherwise returns the plan. The caller has decided that it may have the bytes.
 */
export async function redirectLarge (blobs: BlobStore, { file, request, plan, ...limit }: Redirect): Promise<DownloadPlan> {
  const { headers, method } = request
  // No longer than the bytes of a file that is deleted now are kept.
  const seconds = Math.min(limit.seconds, blobs.graceSeconds)
  if (seconds === 0 || blobs.presign === undefined || method === 'HEAD' || file.size <= MIN_BYTES) return plan
  if (!('pieces' in plan) || plan.pieces.length !== 1 || UNREDIRECTED.some(name => headers[name] !== undefined) || String(headers.range).includes(',')) return plan
  const disposition = String(plan.headers['content-disposition'])
  const location = await blobs.presign(file.blobId, { seconds, type: file.type, disposition })
  return { status: 307, headers: { location, 'cache-control': 'no-store', vary: 'Authorization' } }
}
