import type { IncomingMessage } from 'node:http'
import type { Http2Stream, ServerHttp2Stream } from 'node:http2'
import { expectDigests, type DigestCheck } from '../files/digests.ts'
import { Problem } from '../problems.ts'

/** Room for the delimiters and other fields of a form around a file of the largest size. */
const FORM_OVERHEAD_BYTES = 64 * 1024

/** Whether a digest is announced to come behind the body (RFC 9110 section 6.6.2). */
const LATE_DIGEST = /(?:^|[\s,])(?:content|repr)-digest(?:[\s,]|$)/i

/** A request's body, refused by its head if it can't be taken, and not yet read. */
export interface UploadBody extends DigestCheck {
  /** Bytes announced; undefined for a body that ends where it ends. */
  readonly announcedBytes: number | undefined
  readonly bytes: AsyncIterable<Buffer>
}

/**
 * Looks at the head of an upload. What is announced is judged by the caller, before it reads `bytes`.
 * @throws content_encoding_unsupported, digest_malformed.
 */
export function openUploadBody (request: IncomingMessage): UploadBody {
  const { headers } = request
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? ''
  if (encoding !== '' && encoding !== 'identity') throw new Problem('content_encoding_unsupported', { headers: { 'accept-encoding': 'identity' } })
  const length = headers['content-length']
  const check = expectDigests(headers, LATE_DIGEST.test(headers.trailer ?? '') ? () => request.trailers : undefined)
  return {
    announcedBytes: length === undefined && hasBody(request) ? undefined : Number(length ?? 0),
    bytes: check.watch(read(request)),
    watch: check.watch,
    confirm: check.confirm
  }
}

/** Whether a body without a length follows the head. */
function hasBody (request: IncomingMessage): boolean {
  return 'stream' in request ? !(request.stream as ServerHttp2Stream).endAfterHeaders : request.headers['transfer-encoding'] !== undefined
}

/** The bounds of the size of a form's file, from the announced size of the form. */
export function fileBounds ({ announcedBytes }: UploadBody): { leastSize: number, mostSize: number } {
  return { leastSize: Math.max(0, (announcedBytes ?? 0) - FORM_OVERHEAD_BYTES), mostSize: announcedBytes ?? Number.MAX_SAFE_INTEGER }
}

/** Bounds a form as it flows, whatever parts its bytes are in. @throws file_too_large. */
export async function * boundForm ({ bytes }: UploadBody, maxFileBytes: number): AsyncGenerator<Buffer> {
  let received = 0
  for await (const chunk of bytes) {
    received += chunk.length
    if (received > maxFileBytes + FORM_OVERHEAD_BYTES) throw new Problem('file_too_large', { detail: `A file may have ${maxFileBytes} bytes.` })
    yield chunk
  }
}

/** The body without destroying it when the reader stops early: an answer must still go out on its connection. */
async function * read (request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield * request.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw new Problem('upload_incomplete', { cause })
  }
  // Where HTTP/2 resets a stream, Node ends its body as if it were whole; one that is whole is still open for the answer.
  if ('stream' in request && (request.stream as Http2Stream).closed) throw new Problem('upload_incomplete')
}
