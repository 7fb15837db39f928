import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { findFileName } from '../files/names.ts'
import { etag, location, nextPage, StoredFile } from '../files/schemas.ts'
import { callerOf } from '../http/caller.ts'
import type { Links } from '../http/links.ts'
import { cutPage, nextPageOf, pageOf } from '../http/pagination.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import { codeSamples } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import type { FailureCode } from '../problems.ts'
import { openPartialBody } from './body.ts'
import { partOf, startOf } from './protocol.ts'
import { acceptAnyBody, addUploadHeaders, createUploadRequests, signalOfClient, streamedBody, type Exchange } from './resumable-requests.ts'
import type { ResumableUploads } from './resumable.ts'
import {
  echoedMetadata, OverrideHeaders, Upload, UploadAppendHeaders, UploadBytes, UploadCreationHeaders, uploadHeaders, uploadLinks, UploadList,
  UploadListQuery, uploadLocation, UploadLookupHeaders, uploadOf, UploadParams, UPLOAD_PATH, UPLOADS_PATH, uploadUrl
} from './schemas.ts'
import { isTus, OVERRIDES, protocolMissing } from './tus.ts'
import { DRAFT_BYTES, fieldOf, refuseField, TUS_BYTES } from './upload-fields.ts'
import { findUploadMetadata } from './upload-metadata.ts'

interface ResumableRoutesOptions { uploads: ResumableUploads, links: Links, limitTransfers: TransferLimits }

/** What can refuse the content of a request. */
const refusedContent: FailureCode[] = [
  'upload_header_invalid', 'upload_protocol_missing', 'partial_upload', 'upload_length_inconsistent', 'upload_incomplete', 'digest_malformed', 'digest_mismatch',
  'not_found', 'upload_taken_over', 'precondition_failed', 'tus_version_unsupported', 'file_too_large', 'quota_exceeded', 'unsupported_media_type',
  'content_encoding_unsupported', 'too_many_transfers', 'storage_full'
]

const refusedAppends: FailureCode[] = [...refusedContent, 'upload_offset_mismatch', 'upload_completed']

/** Uploads that a client can continue, with tus or the IETF draft. */
export const resumableUploadRoutes: FastifyPluginAsyncTypebox<ResumableRoutesOptions> = async (app, { uploads, links, limitTransfers }) => {
  const requests = createUploadRequests({ uploads, links })
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
    schema: {
      operationId: 'createUpload',
      summary: 'Create a resumable upload',
      description: 'Creates an upload with the tus protocol (`Tus-Resumable`) or, experimentally, draft-ietf-httpbis-resumable-upload (`Upload-Complete`). The content, if any, is the beginning of the file. The upload becomes a file when its last byte is stored; if no name is given, its id is the name. Without a precondition, a file of this name must not exist, unless it has the same bytes.',
      ...codeSamples('curl -f -u test_user:pwd -X POST -H "Upload-Complete: ?0" -H "Content-Disposition: inline; filename=large.bin" http://127.0.0.1:5000/api/uploads'),
      tags: ['Uploads'],
      headers: UploadCreationHeaders,
      consumes: [DRAFT_BYTES, TUS_BYTES],
      body: UploadBytes,
      response: {
        201: { ...Type.Ref(Upload), description: 'The upload.', headers: { ...uploadLocation, ...uploadHeaders } },
        ...problems([...refusedContent, 'name_invalid', 'extension_not_allowed', 'too_many_uploads'])
      }
    }
  }, async (request, reply) => {
    const body = openPartialBody(request.raw)
    const { name, type, ...content } = startOf(request.headers, body.announcedBytes)
    const creation = {
      name,
      type,
      length: content.length,
      method: 'POST' as const,
      precondition: preconditionOf(request.headers),
      uploadMetadata: findUploadMetadata(request.headers),
      reprDigest: fieldOf(request.headers, 'repr-digest')
    }
    const upload = await requests.begin({ request, reply }, creation, { ...content, body })
    requests.describe({ request, reply }, upload)
    reply.code(201).header('location', uploadUrl(upload, request.raw, links))
    return uploadOf(upload)
  })

  app.get(UPLOADS_PATH, {
    links: { 200: nextPageOf('listUploads', { name: '$request.query.name' }) },
    schema: {
      operationId: 'listUploads',
      summary: 'List unfinished uploads',
      description: 'Lists your unfinished uploads, newest first.',
      ...codeSamples('curl -f -u test_user:pwd "http://127.0.0.1:5000/api/uploads?name=large.bin"'),
      tags: ['Uploads'],
      querystring: UploadListQuery,
      headers: UploadLookupHeaders,
      response: {
        200: { ...Type.Ref(UploadList), description: 'A page.', headers: nextPage },
        ...problems(['validation_failed', 'tus_version_unsupported'])
      }
    }
  }, async (request, reply) => {
    const { beforeId: before, limit } = pageOf(request.query)
    const { name } = request.query
    const found = await uploads.list(callerOf(request).account, { name: name === undefined ? undefined : storedName(name), before, limit })
    const { entries, next } = cutPage(found, limit, ({ sequence }) => String(sequence))
    if (next !== null) reply.header('link', links.toNext(request.raw, UPLOADS_PATH, { ...request.query, limit: String(limit - 1), cursor: next }))
    return { uploads: entries.map(uploadOf), next }
  })

  const lookupFailures = problems(['not_found', 'precondition_failed', 'tus_version_unsupported'])

  app.get(UPLOAD_PATH, {
    exposeHeadRoute: false,
    schema: {
      operationId: 'getUpload',
      summary: 'Get an upload',
      description: 'Returns the upload as it is. An append in progress goes on. The response is 412 if all bytes are there and the file was refused.',
      ...codeSamples('upload=$(curl -f -u test_user:pwd "http://127.0.0.1:5000/api/uploads?name=large.bin" | grep -Eo "[0-9a-f]{32}" | head -n 1)', 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/uploads/$upload'),
      tags: ['Uploads'],
      params: UploadParams,
      headers: UploadLookupHeaders,
      response: { 200: { ...Type.Ref(Upload), description: 'The upload.', headers: uploadHeaders }, ...lookupFailures }
    }
  }, async (request, reply) => {
    const upload = await uploads.get(callerOf(request).account, request.params.id, signalOfClient(reply))
    requests.describe({ request, reply }, upload)
    return uploadOf(upload)
  })

  const headResponses = {
    200: { description: 'The headers.', type: 'null', headers: { ...uploadHeaders, ...echoedMetadata } },
    ...lookupFailures
  }

  app.head(UPLOAD_PATH, {
    // With the operation id in the schema, @fastify/swagger would copy the schema before its security is set.
    config: { swagger: { exposeHeadRoute: true }, swaggerTransform: ({ schema, url }) => ({ schema: { ...schema, operationId: 'headUpload' }, url }) },
    schema: {
      summary: 'Get the offset of an upload',
      description: 'Returns the offset to continue from. An append in progress ends: its bytes up to this offset are stored. The response is 412 if all bytes are there and the file was refused. A complete upload is found until `Upload-Expires`; the server remembers at most 1,000 of an account. This operation has no rate limit.',
      ...codeSamples('curl -f -I -u test_user:pwd http://127.0.0.1:5000/api/uploads/$upload'),
      tags: ['Uploads'],
      params: UploadParams,
      headers: UploadLookupHeaders,
      response: headResponses
    }
  }, async (request, reply) => sendOffset({ request, reply }, request.params.id))

  app.patch(UPLOAD_PATH, {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    schema: {
      operationId: 'appendUpload',
      summary: 'Continue an upload',
      description: 'Appends the content at `Upload-Offset`. If the connection is lost, what arrived is kept. With the last byte, or the end of content with `Upload-Complete: ?1`, the upload becomes a file; the response to a client of the draft is then that of `PUT /uploads/{name}`. Another append in progress ends.',
      ...codeSamples('curl -f -u test_user:pwd -X PATCH -H "Upload-Complete: ?1" -H "Upload-Offset: 0" -H "Content-Type: application/partial-upload" --data-binary @report.pdf http://127.0.0.1:5000/api/uploads/$upload'),
      tags: ['Uploads'],
      params: UploadParams,
      headers: UploadAppendHeaders,
      consumes: [DRAFT_BYTES, TUS_BYTES],
      body: UploadBytes,
      response: {
        200: { ...Type.Ref(StoredFile), description: 'The upload is complete and replaced the file.', headers: { ...etag, ...uploadHeaders } },
        201: { ...Type.Ref(StoredFile), description: 'The upload is complete: the new file.', headers: { ...location, ...etag, ...uploadHeaders } },
        204: { description: 'The bytes are stored.', type: 'null', headers: uploadHeaders },
        ...problems(refusedAppends)
      }
    }
  }, async (request, reply) => append({ request, reply }, request.params.id))

  app.post(UPLOAD_PATH, {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    schema: {
      operationId: 'overrideUpload',
      summary: 'Continue or cancel an upload with POST',
      description: 'For clients of tus behind proxies that refuse `PATCH`, `HEAD` or `DELETE`: `X-HTTP-Method-Override` names the method.',
      ...codeSamples(
        'upload=$(curl -f -u test_user:pwd -X POST -H "Tus-Resumable: 1.0.0" -H "Upload-Length: 9" -H "Upload-Metadata: filename YS50eHQ=" http://127.0.0.1:5000/api/uploads | grep -Eo "[0-9a-f]{32}" | head -n 1)',
        'curl -f -u test_user:pwd -X POST -H "Tus-Resumable: 1.0.0" -H "X-HTTP-Method-Override: HEAD" http://127.0.0.1:5000/api/uploads/$upload'
      ),
      tags: ['Uploads'],
      params: UploadParams,
      headers: OverrideHeaders,
      consumes: [TUS_BYTES],
      body: UploadBytes,
      response: {
        ...headResponses,
        204: { description: 'The bytes are stored, or the upload is cancelled.', type: 'null', headers: uploadHeaders },
        ...problems(refusedAppends)
      }
    }
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
    schema: {
      operationId: 'cancelUpload',
      summary: 'Cancel an upload',
      description: 'Ends the upload and deletes its bytes. A file that it became stays.',
      ...codeSamples('curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/uploads/$upload'),
      tags: ['Uploads'],
      params: UploadParams,
      headers: UploadLookupHeaders,
      response: { 204: { description: 'The upload is cancelled.', type: 'null' }, ...problems(['not_found', 'tus_version_unsupported']) }
    }
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
    const upload = await requests.append(exchange, id, { ...partOf(headers, body.announcedBytes), ...body })
    requests.describe(exchange, upload)
    // Clients of tus accept no other status.
    return upload.result === undefined || isTus(headers) ? exchange.reply.code(204).send() : requests.answerFile(exchange, upload.result)
  }

  async function cancel ({ request, reply }: Exchange, id: string): Promise<FastifyReply> {
    await uploads.cancel(callerOf(request).account, id)
    return reply.code(204).send()
  }
}

/** A name in NFC; one that no file can have finds nothing. */
function storedName (text: string): string {
  return findFileName(text) ?? '/'
}
