import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { findName } from '../files/names.ts'
import { callerOf } from '../http/caller.ts'
import type { Links } from '../http/links.ts'
import { cutPage, nextPageOf, pageOf } from '../http/pagination.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import { openPartialBody } from './body.ts'
import { modifiedAtOf } from './modified-time.ts'
import { appendOf, creationOf } from './protocol.ts'
import { acceptAnyBody } from './any-body.ts'
import {
  addUploadHeaders, signalOfClient, streamedBody, UploadRequests, type Exchange
} from './resumable-requests.ts'
import type { ResumableUploads } from './resumable.ts'
import {
  appendUpload, cancelUpload, createUpload, getUpload, headUpload, listUploads, overrideUpload
} from './resumable-schemas.ts'
import { UPLOAD_PATH, uploadLinks, uploadOf, UPLOADS_PATH, uploadUrl } from './schemas.ts'
import { isTus, OVERRIDES, protocolMissing } from './tus.ts'
import { fieldOf, refuseField } from './upload-fields.ts'
import { findUploadMetadata } from './upload-metadata.ts'

interface ResumableRoutesOptions { uploads: ResumableUploads, links: Links, limitTransfers: TransferLimits }

/** Uploads that a client can continue, with tus or the IETF draft. */
export const resumableUploadRoutes: FastifyPluginAsyncTypebox<ResumableRoutesOptions> = async (
  app, { uploads, links, limitTransfers }
) => {
  const requests = new UploadRequests({ uploads, links })
  acceptAnyBody(app)
  addUploadHeaders(app, uploads)
  app.addHook('onRequest', (request, _reply, done) => {
    // Throws for an unsupported version, before the body is read.
    isTus(request.headers)
    done()
  })

  app.post(UPLOADS_PATH, {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    links: { 201: uploadLinks },
    schema: createUpload
  }, async (request, reply) => {
    const body = openPartialBody(request.raw)
    const { name, type, modifiedAt, ...content } = creationOf(request.headers, body.announcedBytes)
    const creation = {
      name,
      type,
      length: content.length,
      method: 'POST' as const,
      precondition: preconditionOf(request.headers),
      uploadMetadata: findUploadMetadata(request.headers),
      reprDigest: fieldOf(request.headers, 'repr-digest'),
      modifiedAt: modifiedAtOf(request.headers) ?? modifiedAt
    }
    const upload = await requests.begin({ request, reply }, creation, { ...content, body })
    requests.describe({ request, reply }, upload)
    reply.code(201).header('location', uploadUrl(upload, request.raw, links))
    return uploadOf(upload)
  })

  app.get(UPLOADS_PATH, {
    links: { 200: nextPageOf('listUploads', { name: '$request.query.name' }) },
    schema: listUploads
  }, async (request, reply) => {
    const { beforeId: before, limit } = pageOf(request.query)
    const name = request.query.name === undefined ? undefined : storedName(request.query.name)
    const found = await uploads.list(callerOf(request).account, { name, before, limit })
    const { entries, next } = cutPage(found, limit, ({ sequence }) => String(sequence))
    if (next !== null) reply.header('link', links.toNext(request.raw, UPLOADS_PATH, { ...request.query, limit: String(limit - 1), cursor: next }))
    return { uploads: entries.map(uploadOf), next }
  })

  app.get(UPLOAD_PATH, {
    exposeHeadRoute: false,
    schema: getUpload
  }, async (request, reply) => {
    const upload = await uploads.get(callerOf(request).account, request.params.id, signalOfClient(reply))
    requests.describe({ request, reply }, upload)
    return uploadOf(upload)
  })

  app.head(UPLOAD_PATH, {
    // With the operation id in the schema, @fastify/swagger would copy the schema before its security is set.
    config: { swagger: { exposeHeadRoute: true }, swaggerTransform: ({ schema, url }) => ({ schema: { ...schema, operationId: 'headUpload' }, url }) },
    schema: headUpload
  }, async (request, reply) => sendOffset({ request, reply }, request.params.id))

  app.patch(UPLOAD_PATH, {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    schema: appendUpload
  }, async (request, reply) => append({ request, reply }, request.params.id))

  app.post(UPLOAD_PATH, {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    schema: overrideUpload
  }, async (request, reply) => {
    if (!isTus(request.headers)) throw protocolMissing('X-HTTP-Method-Override is for clients of tus, which send Tus-Resumable.')
    const { id } = request.params
    const override = fieldOf(request.headers, 'x-http-method-override')?.trim().toUpperCase()
    if (override === 'PATCH') return append({ request, reply }, id)
    if (override === 'HEAD') return sendOffset({ request, reply }, id)
    if (override === 'DELETE') return cancel({ request, reply }, id)
    return refuseField(`X-HTTP-Method-Override must be one of ${OVERRIDES.join(', ')}.`)
  })

  app.delete(UPLOAD_PATH, {
    schema: cancelUpload
  }, async (request, reply) => cancel({ request, reply }, request.params.id))

  async function sendOffset (exchange: Exchange, id: string): Promise<FastifyReply> {
    const upload = await uploads.offset(callerOf(exchange.request).account, id, signalOfClient(exchange.reply))
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
    return upload.result === undefined || isTus(headers)
      ? exchange.reply.code(204).send()
      : requests.answerFile(exchange, upload.result)
  }

  async function cancel ({ request, reply }: Exchange, id: string): Promise<FastifyReply> {
    await uploads.cancel(callerOf(request).account, id)
    return reply.code(204).send()
  }
}

/** A name in NFC; one that no file can have finds nothing. */
function storedName (text: string): string {
  return findName(text) ?? '/'
}
