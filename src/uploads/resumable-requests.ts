import type { IncomingMessage } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Uploader } from '../files/incoming-file.ts'
import { type Precondition, preconditionOf } from '../metadata/preconditions.ts'
import type { StoreResult, UploadRecord } from '../metadata/upload-records.ts'
import { addHeaders } from '../openapi/responses.ts'
import { Problem } from '../problems.ts'
import type { PartialBody } from './body.ts'
import { INTEROP_VERSION, wantsInterim } from './draft.ts'
import type { Completion } from './protocol.ts'
import type { UploadAppend } from './upload-append.ts'
import type { ResumableUploads, UploadCreation } from './resumable.ts'
import { createdUpload, failureHeaders, tusHeaders, UploadFolderQuery } from './schemas.ts'
import { TUS_VERSION, tusFields } from './tus.ts'
import { remainingLimit, uploadFields, uploadLimit } from './upload-fields.ts'

/** An upload that has become a file. */
export type StoredUpload = UploadRecord & { readonly result: StoreResult }

/** Where requests about uploads come in: at the paths of an account, or at those of a link. */
export interface UploadEndpoint {
  /** Who uploads. */
  uploaderOf (request: FastifyRequest): Uploader
  /** The address of an upload. */
  urlOf (request: FastifyRequest, upload: { readonly id: string }): string
  /** Answers the request that completed an upload, with the body that is returned. */
  answerFile (exchange: Exchange, upload: StoredUpload): object
}

interface RequestsOptions { readonly uploads: ResumableUploads, readonly endpoint: UploadEndpoint }

/** A request to the rule, and the response that it is for. */
export interface Exchange { readonly request: FastifyRequest, readonly reply: FastifyReply }

type RequestedUpload = Omit<UploadCreation, 'uploader' | 'announcedBytes'>

type Beginning = Completion & { readonly body: PartialBody }

/** What all requests about uploads share, whatever their protocol. */
export function createUploadRequests ({ uploads, endpoint }: RequestsOptions) {
  function append ({ request, reply }: Exchange, id: string, append: UploadAppend): Promise<UploadRecord> {
    return uploads.append(endpoint.uploaderOf(request), id, { ...append, clientGone: signalOfClient(reply) })
  }

  return {
    append,

    /** Creates an upload, and appends the content of the request to it. */
    async begin (exchange: Exchange, creation: RequestedUpload, content: Beginning): Promise<UploadRecord> {
      const { request, reply } = exchange
      const { body, length, isLast } = content
      const { announcedBytes, confirm } = body
      // No content is appended, so nothing else would compare its digest.
      if (announcedBytes === 0) confirm?.()
      const upload = await uploads.create({ ...creation, uploader: endpoint.uploaderOf(request), announcedBytes })
      const location = endpoint.urlOf(request, upload)
      if (wantsInterim(request.headers)) {
        sendInterim(request.raw, { location, 'upload-limit': remainingLimit(uploads.limits, upload, Date.now()) })
      }
      if (announcedBytes === 0) return upload
      // Also sent with a failure: the client can continue or cancel the upload.
      reply.header('location', location)
      return append(exchange, upload.id, { ...body, offset: 0, length, isLast })
    },

    /** Adds the headers of a success. */
    describe ({ request, reply }: Exchange, upload: UploadRecord): void {
      reply.headers(uploadFields(upload, uploads.limits, Date.now()))
      if (request.headers['tus-resumable'] !== undefined) reply.headers(tusFields(upload))
    }
  }
}

/** Whether an upload has become a file. */
export function isStored (upload: UploadRecord): upload is StoredUpload {
  return upload.result !== undefined
}

/** Aborted when the connection closes before the response is sent. */
export function signalOfClient ({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  raw.once('close', () => { if (!raw.writableFinished) controller.abort(new Problem('upload_incomplete')) })
  return controller.signal
}

/**
 * Sends the address of an upload before its content is read, so that a client can continue if the connection breaks.
 */
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

/** A streamed body is not validated: Ajv would refuse it, because it is not a JSON value. */
export const streamedBody = () => () => true

const FOLDER_ID = new RegExp(String(UploadFolderQuery.properties.folderId.pattern))

/**
 * The precondition of a raw upload: its headers, and the query `folderId`, which is not validated, because the body is
 * not.
 * @throws validation_failed.
 */
export function uploadConditionOf ({ headers, query }: Pick<FastifyRequest, 'headers' | 'query'>): Precondition {
  const { folderId } = query as { folderId?: string | string[] }
  if (folderId !== undefined && (typeof folderId !== 'string' || !FOLDER_ID.test(folderId))) {
    throw new Problem('validation_failed', { errors: [{ field: 'folderId', message: 'is not an id of a folder' }] })
  }
  return { ...preconditionOf(headers), folderId }
}

/** Paths of which clients of tus ask for more than the file. */
const TUS_PATH = /^\/(?:api|s)\//

/** Adds the headers that all responses of a Fastify scope have, failures included, and documents them. */
export function addUploadHeaders (app: FastifyInstance, { limits }: ResumableUploads): void {
  app.addHook('onRoute', route => describeHeaders(route))
  app.addHook('onSend', ({ headers, url }, reply, _payload, done) => {
    if (headers['tus-resumable'] !== undefined && TUS_PATH.test(url)) reply.header('tus-resumable', TUS_VERSION)
    if (reply.statusCode === 413) reply.header('upload-limit', uploadLimit(limits))
    done()
  })
}

/** Statuses of a refused content: the upload may have been created before. */
const CONTENT_REFUSED = new Set([400, 404, 409, 412, 413, 423, 500, 503, 507])

/** Whether a route creates an upload and appends to it in one request. */
function isCreation ({ method, url }: RouteOptions): boolean {
  return method === 'PUT' || (method === 'POST' && url.endsWith('/uploads'))
}

function describeHeaders (route: RouteOptions): void {
  addHeaders(route, status => ({
    ...failureHeaders[status],
    ...(isCreation(route) && CONTENT_REFUSED.has(status) && createdUpload),
    ...(TUS_PATH.test(route.url) && tusHeaders)
  }))
}
