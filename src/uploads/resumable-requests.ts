import type { IncomingMessage } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { TSchema } from '@sinclair/typebox'
import type {
  FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, RouteOptions
} from 'fastify'
import { uploaderOf } from '../http/caller.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { type Precondition, preconditionOf } from '../metadata/preconditions.ts'
import type { StoreResult, UploadRecord } from '../metadata/upload-records.ts'
import { invalidField, Problem } from '../problems.ts'
import {
  acceptAnyBody, fieldOf, modifiedAtOf, openPartialBody, type PartialBody, refuseField, streamedBody
} from './body.ts'
import {
  appendOf, type Completion, creationOf, DRAFT_BYTES, findUploadMetadata, INTEROP_VERSION, isTus, protocolMissing,
  TUS_BYTES, TUS_VERSION, tusDiscovery, wantsInterim
} from './protocols.ts'
import { describeUploadHeaders, TUS_PATH } from './resumable-schemas.ts'
import type { ResumableUploads, UploadCreation, UploadLimits } from './resumable.ts'
import { UploadFolderQuery, uploadOf } from './schemas.ts'
import type { UploadAppend } from './upload-session.ts'

/** Integers of structured fields have up to 15 digits (RFC 9651 section 3.3.1). */
const MAX_FIELD_INTEGER = 999_999_999_999_999

const FOLDER_ID = new RegExp(String(UploadFolderQuery.properties.folderId.pattern))

/** An upload that has become a file. */
export type StoredUpload = UploadRecord & { readonly result: StoreResult }

/** Where requests about uploads come in: at the paths of an account, or at those of a link. */
export interface UploadEndpoint {
  /** The address of an upload. */
  urlOf (request: FastifyRequest, upload: { readonly id: string }): string
  /** Answers the request that completed an upload, with the body that is returned. */
  answerFile (exchange: HttpExchange, upload: StoredUpload): object
}

interface RequestsOptions { readonly uploads: ResumableUploads, readonly endpoint: UploadEndpoint }

/** The schema of an operation on one upload. */
type UploadOperation = FastifySchema & { readonly params: TSchema & { static: { id: string } } }

interface ResumableOptions extends RequestsOptions {
  readonly limitTransfers: TransferLimits
  /** The path at which uploads are created. An upload is found below it by its id. */
  readonly path: string
  /** What the document says. `links`: operations on the upload that was created (OpenAPI links). */
  readonly operations: Record<'get' | 'append' | 'override' | 'cancel', UploadOperation> & {
    readonly create: FastifySchema
    readonly head: { readonly schema: UploadOperation, readonly config: FastifyContextConfig }
    readonly links: NonNullable<RouteOptions['links']>[string]
  }
}

/** A request and its response. */
export interface HttpExchange { readonly request: FastifyRequest, readonly reply: FastifyReply }

/** What a request to create an upload says, whatever its protocol. */
type CreationRequest = Pick<UploadCreation, 'name' | 'type' | 'method'> & Completion & {
  readonly body: PartialBody
  /** The client's time of the content, if `X-File-Modified` does not tell it. */
  readonly modifiedAt?: number | null
}

/** What all requests about uploads share, whatever their protocol. */
export function createUploadRequests ({ uploads, endpoint }: RequestsOptions) {
  function append ({ request, reply }: HttpExchange, id: string, append: UploadAppend): Promise<UploadRecord> {
    return uploads.append(uploaderOf(request), id, { ...append, clientGone: signalOfClient(reply) })
  }

  return {
    append,

    /** Creates an upload, and appends the content of the request to it. */
    async createAndAppend (exchange: HttpExchange, requested: CreationRequest): Promise<UploadRecord> {
      const { request, reply } = exchange
      const { body, length, isLast, modifiedAt = null, ...file } = requested
      const { announcedBytes } = body
      const creation = {
        ...file,
        length: length ?? null,
        announcedBytes,
        precondition: uploadConditionOf(request),
        uploadMetadata: findUploadMetadata(request.headers) ?? null,
        reprDigest: fieldOf(request.headers, 'repr-digest') ?? null,
        modifiedAt: modifiedAtOf(request.headers) ?? modifiedAt
      }
      // No content is appended, so nothing else would compare its digest.
      if (announcedBytes === 0) body.confirm()
      const upload = await uploads.create({ ...creation, uploader: uploaderOf(request) })
      const location = endpoint.urlOf(request, upload)
      if (wantsInterim(request.headers)) {
        sendInterim(request.raw, { location, 'upload-limit': remainingLimit(uploads.limits, upload) })
      }
      if (announcedBytes === 0) return upload
      // Also sent with a failure: the client can continue or cancel the upload.
      reply.header('location', location)
      return append(exchange, upload.id, { ...body, offset: 0, length, isLast })
    },

    /** Adds the headers of a success. */
    describe ({ request, reply }: HttpExchange, upload: UploadRecord): void {
      const { offset, length, result, expiresAt } = upload
      reply.headers({
        'upload-offset': String(offset),
        ...(length !== null && { 'upload-length': String(length) }),
        'upload-complete': result === undefined ? '?0' : '?1',
        'upload-limit': remainingLimit(uploads.limits, upload),
        'upload-expires': new Date(expiresAt).toUTCString(),
        ...(length === null && request.headers['tus-resumable'] !== undefined && { 'upload-defer-length': '1' })
      })
    }
  }
}

/** Adds the operations on uploads that a client can continue, with tus or the IETF draft, to a scope of their own. */
export const addResumableOperations: FastifyPluginAsyncTypebox<ResumableOptions> = async (
  app, { uploads, endpoint, limitTransfers, path, operations }
) => {
  const requests = createUploadRequests({ uploads, endpoint })
  const uploadPath = `${path}/:id`
  const receiving = { onRequest: limitTransfers, validatorCompiler: streamedBody }
  acceptAnyBody(app)
  addUploadHeaders(app, uploads)
  app.addHook('onRequest', (request, _reply, done) => {
    // Throws for an unsupported version, before the body is read.
    isTus(request.headers)
    done()
  })

  app.post(path, {
    ...receiving,
    links: { 201: operations.links },
    schema: operations.create
  }, async (request, reply) => {
    const body = openPartialBody(request.raw)
    const creation = creationOf(request.headers, body.announcedBytes)
    const upload = await requests.createAndAppend({ request, reply }, { ...creation, method: 'POST', body })
    requests.describe({ request, reply }, upload)
    reply.code(201).header('location', endpoint.urlOf(request, upload))
    return uploadOf(upload)
  })

  app.get(uploadPath, {
    exposeHeadRoute: false,
    schema: operations.get
  }, async (request, reply) => {
    const upload = await uploads.get(uploaderOf(request), request.params.id, signalOfClient(reply))
    requests.describe({ request, reply }, upload)
    return uploadOf(upload)
  })

  app.head(uploadPath, operations.head, async (request, reply) =>
    sendOffset({ request, reply }, request.params.id))

  app.patch(uploadPath, {
    ...receiving,
    schema: operations.append
  }, async (request, reply) => append({ request, reply }, request.params.id))

  app.post(uploadPath, {
    ...receiving,
    schema: operations.override
  }, async (request, reply) => {
    if (!isTus(request.headers)) {
      throw protocolMissing('X-HTTP-Method-Override is for clients of tus, which send Tus-Resumable.')
    }
    const handlers = new Map<string, typeof append>([['PATCH', append], ['HEAD', sendOffset], ['DELETE', cancel]])
    const handle = handlers.get(String(request.headers['x-http-method-override']).trim().toUpperCase()) ??
      refuseField(`X-HTTP-Method-Override must be one of ${Array.from(handlers.keys()).join(', ')}.`)
    return handle({ request, reply }, request.params.id)
  })

  app.delete(uploadPath, {
    schema: operations.cancel
  }, async (request, reply) => cancel({ request, reply }, request.params.id))

  async function sendOffset ({ request, reply }: HttpExchange, id: string): Promise<FastifyReply> {
    const upload = await uploads.offset(uploaderOf(request), id, signalOfClient(reply))
    requests.describe({ request, reply }, upload)
    if (upload.uploadMetadata !== null) reply.header('upload-metadata', upload.uploadMetadata)
    return reply.code(200).send()
  }

  async function append (exchange: HttpExchange, id: string) {
    const { headers, raw } = exchange.request
    const body = openPartialBody(raw)
    const upload = await requests.append(exchange, id, { ...appendOf(headers, body.announcedBytes), ...body })
    requests.describe(exchange, upload)
    // Clients of tus accept no other status.
    return isStored(upload) && !isTus(headers)
      ? endpoint.answerFile(exchange, upload)
      : exchange.reply.code(204).send()
  }

  async function cancel ({ request, reply }: HttpExchange, id: string): Promise<FastifyReply> {
    await uploads.cancel(uploaderOf(request), id)
    return reply.code(204).send()
  }
}

/** Whether an upload has become a file. */
export function isStored (upload: UploadRecord): upload is StoredUpload {
  return upload.result !== undefined
}

/** Aborted when the connection closes before the response is sent. */
function signalOfClient ({ raw }: FastifyReply): AbortSignal {
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

/**
 * The precondition of a raw upload: its headers, and the query `folderId`, which is not validated, because the body is
 * not.
 * @throws validation_failed.
 */
export function uploadConditionOf ({ headers, query }: Pick<FastifyRequest, 'headers' | 'query'>): Precondition {
  const { folderId } = query as { folderId?: string | string[] }
  if (folderId !== undefined && (typeof folderId !== 'string' || !FOLDER_ID.test(folderId))) {
    throw invalidField('folderId', 'is not an id of a folder')
  }
  return { ...preconditionOf(headers), folderId }
}

/** Adds the headers that all responses of a Fastify scope have, failures included, and documents them. */
export function addUploadHeaders (app: FastifyInstance, { limits }: ResumableUploads): void {
  app.addHook('onRoute', describeUploadHeaders)
  app.addHook('onSend', ({ headers, url }, reply, _payload, done) => {
    if (headers['tus-resumable'] !== undefined && TUS_PATH.test(url)) reply.header('tus-resumable', TUS_VERSION)
    if (reply.statusCode === 413) reply.header('upload-limit', uploadLimit(limits))
    done()
  })
}

/** Adds `OPTIONS` at a path of uploads, whose methods are `allow`: the protocols and limits. */
export function addDiscovery (
  app: FastifyInstance, url: string, { allow, limits }: { allow: string, limits: UploadLimits }
): void {
  app.options(url, {
    // A preflight gets the headers of CORS as well.
    config: { cors: { preflightContinue: true } },
    schema: { hide: true }
  }, async (_request, reply) => reply.code(204).headers({
    allow,
    ...tusDiscovery,
    'tus-max-size': String(limits.maxBytes),
    'accept-patch': `${DRAFT_BYTES}, ${TUS_BYTES}`,
    'upload-limit': uploadLimit(limits)
  }).send())
}

/** `Upload-Limit`. `maxAgeSeconds` is the time that is left. */
export function uploadLimit ({ maxBytes, maxAgeSeconds }: UploadLimits): string {
  return `max-size=${Math.min(maxBytes, MAX_FIELD_INTEGER)}, max-age=${maxAgeSeconds}`
}

/** `Upload-Limit` of an upload. */
function remainingLimit ({ maxBytes }: UploadLimits, { expiresAt }: UploadRecord): string {
  return uploadLimit({ maxBytes, maxAgeSeconds: Math.max(0, Math.floor((expiresAt - Date.now()) / 1000)) })
}
