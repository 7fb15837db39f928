import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifySchema, RouteOptions } from 'fastify'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { acceptAnyBody, openPartialBody } from './body.ts'
import { appendOf, creationOf } from './protocol.ts'
import {
  addUploadHeaders, createUploadRequests, isStored, signalOfClient, streamedBody, uploadConditionOf, type Exchange,
  type UploadEndpoint
} from './resumable-requests.ts'
import type { ResumableUploads } from './resumable.ts'
import { uploadOf } from './schemas.ts'
import { isTus, OVERRIDES, protocolMissing, tusDiscovery } from './tus.ts'
import { DRAFT_BYTES, fieldOf, modifiedAtOf, refuseField, TUS_BYTES, type UploadLimits, uploadLimit } from './upload-fields.ts'
import { findUploadMetadata } from './upload-metadata.ts'

/** The schema of an operation on one upload. */
type UploadOperation = FastifySchema & { readonly params: TSchema & { static: { id: string } } }

type RouteLinks = NonNullable<RouteOptions['links']>[string]

interface ResumableOptions {
  readonly uploads: ResumableUploads
  readonly endpoint: UploadEndpoint
  readonly limitTransfers: TransferLimits
  /** The path at which uploads are created. An upload is found below it by its id. */
  readonly path: string
  /** What the document says about each operation. */
  readonly operations: {
    readonly create: FastifySchema
    readonly get: UploadOperation
    readonly head: UploadOperation
    readonly headId: string
    readonly append: UploadOperation
    readonly override: UploadOperation
    readonly cancel: UploadOperation
    /** Operations on the upload that was created (OpenAPI links). */
    readonly links: RouteLinks
  }
}

/** Adds the operations on uploads that a client can continue, with tus or the IETF draft, to a scope of their own. */
export const addResumableOperations: FastifyPluginAsyncTypebox<ResumableOptions> = async (
  app, { uploads, endpoint, limitTransfers, path, operations }
) => {
  const requests = createUploadRequests({ uploads, endpoint })
  const uploadPath = `${path}/:id`
  acceptAnyBody(app)
  addUploadHeaders(app, uploads)
  app.addHook('onRequest', (request, _reply, done) => {
    // Throws for an unsupported version, before the body is read.
    isTus(request.headers)
    done()
  })

  app.post(path, {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    links: { 201: operations.links },
    schema: operations.create
  }, async (request, reply) => {
    const body = openPartialBody(request.raw)
    const { name, type, modifiedAt, ...content } = creationOf(request.headers, body.announcedBytes)
    const creation = {
      name,
      type,
      length: content.length,
      method: 'POST' as const,
      precondition: uploadConditionOf(request),
      uploadMetadata: findUploadMetadata(request.headers),
      reprDigest: fieldOf(request.headers, 'repr-digest'),
      modifiedAt: modifiedAtOf(request.headers) ?? modifiedAt
    }
    const upload = await requests.begin({ request, reply }, creation, { ...content, body })
    requests.describe({ request, reply }, upload)
    reply.code(201).header('location', endpoint.urlOf(request, upload))
    return uploadOf(upload)
  })

  app.get(uploadPath, {
    exposeHeadRoute: false,
    schema: operations.get
  }, async (request, reply) => {
    const upload = await uploads.get(endpoint.uploaderOf(request), request.params.id, signalOfClient(reply))
    requests.describe({ request, reply }, upload)
    return uploadOf(upload)
  })

  app.head(uploadPath, {
    // With the operation id in the schema, @fastify/swagger would copy the schema before its security is set.
    config: {
      swagger: { exposeHeadRoute: true },
      swaggerTransform: ({ schema, url }) => ({ schema: { ...schema, operationId: operations.headId }, url })
    },
    schema: operations.head
  }, async (request, reply) => sendOffset({ request, reply }, request.params.id))

  app.patch(uploadPath, {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    schema: operations.append
  }, async (request, reply) => append({ request, reply }, request.params.id))

  app.post(uploadPath, {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    schema: operations.override
  }, async (request, reply) => {
    if (!isTus(request.headers)) throw protocolMissing('X-HTTP-Method-Override is for clients of tus, which send Tus-Resumable.')
    const { id } = request.params
    const override = fieldOf(request.headers, 'x-http-method-override')?.trim().toUpperCase()
    if (override === 'PATCH') return append({ request, reply }, id)
    if (override === 'HEAD') return sendOffset({ request, reply }, id)
    if (override === 'DELETE') return cancel({ request, reply }, id)
    return refuseField(`X-HTTP-Method-Override must be one of ${OVERRIDES.join(', ')}.`)
  })

  app.delete(uploadPath, {
    schema: operations.cancel
  }, async (request, reply) => cancel({ request, reply }, request.params.id))

  async function sendOffset (exchange: Exchange, id: string): Promise<FastifyReply> {
    const upload = await uploads.offset(endpoint.uploaderOf(exchange.request), id, signalOfClient(exchange.reply))
    requests.describe(exchange, upload)
    if (upload.uploadMetadata !== null) exchange.reply.header('upload-metadata', upload.uploadMetadata)
    return exchange.reply.code(200).send()
  }

  async function append (exchange: Exchange, id: string) {
    const { headers, raw } = exchange.request
    const body = openPartialBody(raw)
    const upload = await requests.append(exchange, id, { ...appendOf(headers, body.announcedBytes), ...body })
    requests.describe(exchange, upload)
    // Clients of tus accept no other status.
    return isStored(upload) && !isTus(headers)
      ? endpoint.answerFile(exchange, upload)
      : exchange.reply.code(204).send()
  }

  async function cancel ({ request, reply }: Exchange, id: string): Promise<FastifyReply> {
    await uploads.cancel(endpoint.uploaderOf(request), id)
    return reply.code(204).send()
  }
}

/** `allow`: the methods of the path. */
interface Discovery { readonly allow: string, readonly limits: UploadLimits }

/** Adds `OPTIONS` at a path of uploads: the protocols and limits. */
export function addDiscovery (app: FastifyInstance, url: string, { allow, limits }: Discovery): void {
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
