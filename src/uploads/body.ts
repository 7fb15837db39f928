import type { IncomingMessage } from 'node:http'
import type { Http2Stream, ServerHttp2Stream } from 'node:http2'
import { expectDigests } from '../files/digests.ts'
import { Problem } from '../problems.ts'

/** Whether a digest is announced in the trailer section (RFC 9110 section 6.6.2). */
const LATE_DIGEST = /(?:^|[\s,])(?:content|repr)-digest(?:[\s,]|$)/i

/** A request body that has not been read yet. Its headers were checked. */
export interface UploadBody {
  /** Announced length in bytes; undefined if the length is not known in advance. */
  readonly announcedBytes: number | undefined
  readonly bytes: AsyncIterable<Buffer>
  /** To be called when `bytes` have ended. @throws digest_mismatch, digest_malformed for a trailer field. */
  confirm (): void
}

/**
 * Checks the headers of an upload. The announced length is for the caller to check, before it reads `bytes`.
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
    confirm: check.confirm
  }
}

/** Whether a request without `Content-Length` has a body. */
function hasBody (request: IncomingMessage): boolean {
  return 'stream' in request ? !(request.stream as ServerHttp2Stream).endAfterHeaders : request.headers['transfer-encoding'] !== undefined
}

/** Reads the body without destroying the request when the reader stops early: the response must still be sent on its connection. */
async function * read (request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield * request.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw new Problem('upload_incomplete', { cause })
  }
  // When an HTTP/2 stream is reset, Node ends its body as if it were complete. The stream of a complete body is still open for the response.
  if ('stream' in request && (request.stream as Http2Stream).closed) throw new Problem('upload_incomplete')
}
