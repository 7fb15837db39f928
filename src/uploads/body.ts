import type { IncomingMessage } from 'node:http'
import type { Http2Stream } from 'node:http2'
import type { FastifyInstance } from 'fastify'
import { algorithmsIn, type CheckedBytes, expectDigests } from '../files/digests.ts'
import type { IncomingBody } from '../files/incoming-file.ts'
import { isMediaType } from '../files/names.ts'
import { announcedLength } from '../http/wire-values.ts'
import { Problem } from '../problems.ts'
import { parseTime } from './modified-time.ts'

// The body of a request that uploads, and the header fields that describe it.

/** Header or trailer fields of a request. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>

/** The type that `curl --data-binary` and `wget --body-file` send by default. It says nothing about the file. */
export const FORM_FIELDS = 'application/x-www-form-urlencoded'

/** What says that a body is a part of a file. */
export const PART_FIELDS = ['content-range', 'upload-complete', 'tus-resumable']

type DigestField = 'content-digest' | 'repr-digest'

/** A request body that has not been read yet. Its headers were checked. */
export interface UploadBody extends CheckedBytes {
  /** Announced length in bytes; undefined if the length is not known in advance. */
  readonly announcedBytes: number | undefined
}

/** The content of one of the requests that a resumable upload is made of. */
export interface PartialBody extends UploadBody {
  /** `Repr-Digest` of the file, once `bytes` have ended. @throws digest_malformed for a trailer field. */
  reprDigest (): string | undefined
}

/** A streamed body is not validated: Ajv would refuse it, because it is not a JSON value. */
export const streamedBody = () => () => true

/** Accepts bodies of any type, and leaves them to the routes of this Fastify scope. */
export function acceptAnyBody (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // Fastify refuses an ill-formed Content-Type. Here it is ignored, as if there were none.
  app.addHook('onRequest', async ({ headers }) => {
    const type = headers['content-type']?.trim()
    if (type !== undefined && !isMediaType(type)) headers['content-type'] = 'application/octet-stream;ill-formed'
  })
}

/** A field as one text, as Node joins its lines. */
export function fieldOf (headers: Headers, name: string): string | undefined {
  return headers[name]?.toString()
}

/** Whether the content has this media type. Parameters are ignored: the types of appended bytes have none. */
export function hasType (headers: Headers, type: string): boolean {
  return fieldOf(headers, 'content-type')?.split(';')[0]?.trim().toLowerCase() === type
}

/** `X-File-Modified`; null if it is absent. @throws upload_header_invalid. */
export function modifiedAtOf (headers: Headers): number | null {
  const text = fieldOf(headers, 'x-file-modified')?.trim()
  if (text === undefined) return null
  return parseTime(text) ?? refuseField('X-File-Modified is not a time of RFC 3339.')
}

/** @throws upload_header_invalid. */
export function refuseField (detail: string): never {
  throw new Problem('upload_header_invalid', { detail })
}

/** Refuses a request that has one of these fields. @throws upload_header_invalid. */
export function refuseFields (headers: Headers, names: readonly string[]): void {
  const found = names.find(name => headers[name] !== undefined)
  if (found !== undefined) refuseField(`${found} is not accepted here.`)
}

/** A body that is the file. `modifiedAt`: the client's time of the content. @throws as `openUploadBody`. */
export function rawUpload (
  request: IncomingMessage, { name, modifiedAt }: { name: string, modifiedAt: number | null }
): IncomingBody {
  const { announcedBytes, bytes, confirm } = openUploadBody(request)
  return {
    name,
    minBytes: announcedBytes ?? 0,
    maxBytes: announcedBytes ?? Number.MAX_SAFE_INTEGER,
    async * read () {
      yield { name, type: declaredType(request), bytes }
      confirm()
    },
    modifiedAt: () => modifiedAt
  }
}

/** The declared type of a raw upload, from the headers as sent. */
export function declaredType ({ rawHeaders, headers }: IncomingMessage): string | undefined {
  const at = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type')
  return at === -1 || hasType(headers, FORM_FIELDS) ? undefined : rawHeaders[at + 1]
}

/**
 * Checks the headers of an upload. The announced length is for the caller to check, before it reads `bytes`. `fields`
 * are those with digests of its bytes.
 * @throws content_encoding_unsupported, digest_malformed.
 */
export function openUploadBody (
  request: IncomingMessage, fields: readonly DigestField[] = ['content-digest', 'repr-digest']
): UploadBody {
  const announcedBytes = announcedBytesOf(request)
  const digestsIn = (all: Headers) => fields.map(field => all[field])
  const trailers = isLate(request, fields) ? () => digestsIn(request.trailers) : undefined
  return { announcedBytes, ...expectDigests(read(request), digestsIn(request.headers), trailers) }
}

/** The same for a part of a file: only `Content-Digest` is about its bytes (RFC 9530 section 2). */
export function openPartialBody (request: IncomingMessage): PartialBody {
  const body = openUploadBody(request, ['content-digest'])
  const { headers } = request
  algorithmsIn(headers['repr-digest'])
  return {
    ...body,
    reprDigest () {
      const late = isLate(request, ['repr-digest']) ? request.trailers['repr-digest'] : undefined
      algorithmsIn(late)
      return late ?? fieldOf(headers, 'repr-digest')
    }
  }
}

/** Whether a digest is announced in the trailer section (RFC 9110 section 6.6.2). */
function isLate ({ headers: { trailer = '' } }: IncomingMessage, fields: readonly DigestField[]): boolean {
  const announced = trailer.toLowerCase().split(/[\s,]+/)
  return fields.some(field => announced.includes(field))
}

/** @throws content_encoding_unsupported. */
function announcedBytesOf (request: IncomingMessage): number | undefined {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? ''
  if (encoding !== '' && encoding !== 'identity') {
    throw new Problem('content_encoding_unsupported', { headers: { 'accept-encoding': 'identity' } })
  }
  return announcedLength(request)
}

/** Reads the body. If the reader stops early, the request stays open, because the response needs its connection. */
async function * read (request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield * request.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw new Problem('upload_incomplete', { cause })
  }
  // Node ends the body of a reset HTTP/2 stream as if it were complete. After a complete body the stream is still open.
  if ('stream' in request && (request.stream as Http2Stream).closed) throw new Problem('upload_incomplete')
}

/** Yields bytes until the signal aborts, whose reason it throws. Calls `confirm` after the last byte. */
export async function * untilAborted (
  { bytes, confirm }: Pick<UploadBody, 'bytes'> & Partial<CheckedBytes>, signal: AbortSignal
): AsyncGenerator<Buffer> {
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
