import type { IncomingMessage } from 'node:http'
import type { Http2Stream } from 'node:http2'
import type { FastifyInstance } from 'fastify'
import { expectDigests, type Fields } from '../files/digests.ts'
import type { IncomingBody } from '../files/incoming-file.ts'
import { isMediaType } from '../files/names.ts'
import { announcedLength } from '../http/wire-values.ts'
import { Problem } from '../problems.ts'
import { FORM_FIELDS, hasType } from './upload-fields.ts'

const DIGEST_FIELDS = ['content-digest', 'repr-digest'] as const

type DigestField = typeof DIGEST_FIELDS[number]

/** A request body that has not been read yet. Its headers were checked. */
export interface UploadBody {
  /** Announced length in bytes; undefined if the length is not known in advance. */
  readonly announcedBytes: number | undefined
  readonly bytes: AsyncIterable<Buffer>
  /** To be called when `bytes` have ended. @throws digest_mismatch, digest_malformed for a trailer field. */
  readonly confirm: () => void
}

/** The content of one of the requests that a resumable upload is made of. */
export interface PartialBody extends Omit<UploadBody, 'confirm'> {
  /** Like {@link UploadBody.confirm}; undefined without a digest. */
  readonly confirm: (() => void) | undefined
  /** `Repr-Digest` of the file, once `bytes` have ended. @throws digest_malformed for a trailer field. */
  reprDigest (): string | undefined
}

/** Accepts bodies of any type, and leaves them to the routes of this Fastify scope. */
export function acceptAnyBody (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // Fastify refuses an ill-formed Content-Type. Here it is ignored, as if there were none.
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['content-type'] !== undefined && !isMediaType(headers['content-type'].trim())) headers['content-type'] = 'application/octet-stream;ill-formed'
  })
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
export function declaredType ({ rawHeaders, headers }: Pick<IncomingMessage, 'rawHeaders' | 'headers'>): string | undefined {
  const at = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type')
  return at === -1 || hasType(headers, FORM_FIELDS) ? undefined : rawHeaders[at + 1]
}

/**
 * Checks the headers of an upload. The announced length is for the caller to check, before it reads `bytes`.
 * @throws content_encoding_unsupported, digest_malformed.
 */
export function openUploadBody (request: IncomingMessage): UploadBody {
  const { isChecked, ...body } = openBody(request, DIGEST_FIELDS)
  return body
}

/** The same for a part of a file: only `Content-Digest` is about its bytes (RFC 9530 section 2). */
export function openPartialBody (request: IncomingMessage): PartialBody {
  const { isChecked, confirm, ...body } = openBody(request, ['content-digest'])
  const reprDigest = (fields: Fields) => fields['repr-digest']?.toString()
  requireDigests(reprDigest(request.headers))
  return {
    ...body,
    confirm: isChecked ? confirm : undefined,
    reprDigest () {
      const late = isLate(request, ['repr-digest']) ? reprDigest(request.trailers) : undefined
      requireDigests(late)
      return late ?? reprDigest(request.headers)
    }
  }
}

/** @throws digest_malformed. */
function requireDigests (field: string | undefined): void {
  expectDigests({ 'repr-digest': field })
}

/** Whether a digest is announced in the trailer section (RFC 9110 section 6.6.2). */
function isLate ({ headers: { trailer = '' } }: IncomingMessage, fields: readonly DigestField[]): boolean {
  const announced = trailer.toLowerCase().split(/[\s,]+/)
  return fields.some(field => announced.includes(field))
}

/** A body that is checked with the digests in these fields. */
function openBody (request: IncomingMessage, fields: readonly DigestField[]): UploadBody & { isChecked: boolean } {
  const digestsIn = (all: Fields): Fields => Object.fromEntries(fields.map(field => [field, all[field]]))
  const announcedBytes = announcedBytesOf(request)
  const trailers = isLate(request, fields) ? () => digestsIn(request.trailers) : undefined
  const check = expectDigests(digestsIn(request.headers), trailers)
  return { announcedBytes, bytes: check.watch(read(request)), confirm: check.confirm, isChecked: check.isNeeded }
}

/** @throws content_encoding_unsupported. */
function announcedBytesOf (request: IncomingMessage): number | undefined {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? ''
  if (encoding !== '' && encoding !== 'identity') throw new Problem('content_encoding_unsupported', { headers: { 'accept-encoding': 'identity' } })
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
