import type { IncomingMessage } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { fileOf, pathOf } from '../files/schemas.ts'
import { callerOf } from '../http/caller.ts'
import type { Links } from '../http/links.ts'
import { entityTag } from '../metadata/preconditions.ts'
import type { StoredUpload, UploadRecord } from '../metadata/uploads.ts'
import { addHeaders } from '../openapi/responses.ts'
import { type FailureCode, Problem } from '../problems.ts'
import type { PartialBody } from './body.ts'
import { INTEROP_VERSION, wantsInterim } from './draft.ts'
import type { Content } from './protocol.ts'
import type { UploadAppend } from './receiver.ts'
import type { ResumableUploads, UploadCreation, UploadOutcome } from './resumable.ts'
import { failureHeaders, tusHeaders, uploadUrl } from './schemas.ts'
import { TUS_VERSION, tusFields } from './tus.ts'
import { remainingLimit, uploadFields, uploadLimit } from './upload-fields.ts'

interface RequestsOptions { readonly uploads: ResumableUploads, readonly links: Links }

/** After these failures of its content, nothing of an upload is left that could be continued. */
const END_OF_CREATION = new Set<FailureCode>(['digest_mismatch', 'digest_malformed'])

/** A request to the rule, and the response that it is for. */
export interface Exchange { readonly request: FastifyRequest, readonly reply: FastifyReply }

/** What all requests about uploads share, whatever their protocol. */
export interface UploadRequests {
  /** Creates an upload, and appends the content of the request to it. */
  begin (exchange: Exchange, creation: Omit<UploadCreation, 'owner' | 'hasContent'>, content: Content & { body: PartialBody }): Promise<UploadOutcome>
  append (exchange: Exchange, id: string, append: UploadAppend): Promise<UploadOutcome>
  /** Adds the headers of a success. */
  describe (exchange: Exchange, upload: UploadRecord): void
  /** Answers like `PUT /uploads/{name}`. */
  answerFile (exchange: Exchange, stored: StoredUpload): ReturnType<typeof fileOf>
}

export function createUploadRequests ({ uploads, links }: RequestsOptions): UploadRequests {
  const append: UploadRequests['append'] = ({ request }, id, append) => uploads.append(callerOf(request).account, id, append)

  return {
    async begin (exchange, creation, { body, length, isLast }) {
      const { request } = exchange
      const { announcedBytes, confirm } = body
      const owner = callerOf(request).account
      // No content is appended, so nothing else would compare its digest.
      if (announcedBytes === 0) confirm?.()
      const created = await uploads.create({ ...creation, owner, hasContent: announcedBytes !== 0 })
      const { upload } = created
      const isAddressKnown = wantsInterim(request.headers)
      if (isAddressKnown) {
        sendInterim(request.raw, { location: uploadUrl(upload, request.raw, links), 'upload-limit': remainingLimit(uploads.limits, upload, Date.now()) })
      }
      if (announcedBytes === 0) return created
      try {
        return await append(exchange, upload.id, { ...body, offset: 0, length, isLast })
      } catch (error) {
        // A client that does not know the address of the upload can't go on with it. What was cut can be found in the list.
        if (!isAddressKnown && error instanceof Problem && END_OF_CREATION.has(error.code)) await uploads.cancel(owner, upload.id).catch(() => {})
        throw error
      }
    },
    append,
    describe ({ request, reply }, upload) {
      reply.headers(uploadFields(upload, uploads.limits, Date.now()))
      if (request.headers['tus-resumable'] !== undefined) reply.headers(tusFields(upload))
    },
    answerFile ({ request, reply }, { file, isNew }) {
      reply.code(isNew ? 201 : 200).header('etag', entityTag(file.sha256))
      if (isNew) reply.header('location', pathOf(file))
      return fileOf(file, request.raw, links)
    }
  }
}

/** Tells the address of an upload before its content is read: with it the client can continue after a lost connection. */
function sendInterim (request: IncomingMessage, fields: Record<string, string>): void {
  const headers = { ...fields, 'upload-draft-interop-version': String(INTEROP_VERSION) }
  if ('stream' in request) {
    const stream = request.stream as ServerHttp2Stream
    if (!stream.destroyed) stream.additionalHeaders({ ':status': 104, ...headers })
    return
  }
  // HTTP/1.0 has no interim responses (RFC 9110 section 15.2).
  if (request.httpVersion !== '1.1' || !request.socket.writable) return
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  request.socket.write(`HTTP/1.1 104 Upload Resumption Supported\r\n${lines.join('')}\r\n`)
}

/** Adds the headers that are the same for all answers of a Fastify scope, failures included, and describes them. */
export function addUploadHeaders (app: FastifyInstance, { limits }: ResumableUploads): void {
  app.addHook('onRoute', route => describeHeaders(route))
  app.addHook('onSend', ({ headers, url }, reply, _payload, done) => {
    if (headers['tus-resumable'] !== undefined && url.startsWith('/api/')) reply.header('tus-resumable', TUS_VERSION)
    if (reply.statusCode === 413) reply.header('upload-limit', uploadLimit(limits))
    done()
  })
}

function describeHeaders (route: RouteOptions): void {
  addHeaders(route, status => ({ ...failureHeaders[status], ...(route.url.startsWith('/api/') && tusHeaders) }))
}
