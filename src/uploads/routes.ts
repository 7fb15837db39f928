import type { Readable } from 'node:stream'
import multipart, { type MultipartFile } from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { Files, Upload } from '../files/files.ts'
import { isMediaType } from '../files/media-type.ts'
import { ChangeHeaders, etag, fileLinks, fileOf, FileParams, location, pathOf, StoredFile } from '../files/schemas.ts'
import { callerOf } from '../http/caller.ts'
import type { Links } from '../http/links.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { entityTag, preconditionOf } from '../metadata/preconditions.ts'
import { codeSamples } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import { Problem, type FailureCode } from '../problems.ts'
import { openUploadBody } from './body.ts'
import { FORM_OVERHEAD_BYTES, multipartLimits, readForm } from './multipart.ts'
import { DigestHeaders, UploadBytes, UploadForm } from './schemas.ts'

interface UploadRoutesOptions { files: Files, links: Links, maxFileBytes: number, limitTransfers: TransferLimits }

/** Failures of both kinds of upload. `not_found` means that the account was deleted during the upload. */
const refusedUploads: FailureCode[] = ['name_invalid', 'not_found', 'upload_incomplete', 'digest_malformed', 'digest_mismatch', 'file_too_large', 'quota_exceeded', 'extension_not_allowed', 'content_encoding_unsupported', 'storage_full', 'too_many_transfers']

/** A streamed body is not validated: Ajv would refuse it, because it is not a JSON value. */
const streamedBody = () => () => true

/** `POST /`: a form with one file. */
export const formUploadRoutes: FastifyPluginAsyncTypebox<UploadRoutesOptions> = async (app, { files, links, maxFileBytes, limitTransfers }) => {
  app.removeAllContentTypeParsers()
  await app.register(multipart, { limits: multipartLimits })

  app.post('/', {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    links: { 200: fileLinks, 201: fileLinks },
    schema: {
      operationId: 'uploadFile',
      summary: 'Upload a file',
      description: 'Creates a file from a form with one part named `file`. If a file with this name and the same bytes already exists, the response is 200 with that file, so retries are safe. If its bytes differ, the response is 409 and nothing changes. `Content-Digest` and `Repr-Digest` cover the whole form as sent.',
      ...codeSamples('curl -f -u test_user:pwd -F file=@report.pdf http://127.0.0.1:5000/'),
      tags: ['Files'],
      headers: DigestHeaders,
      consumes: ['multipart/form-data'],
      body: UploadForm,
      response: {
        200: { ...Type.Ref(StoredFile), description: 'A file with the same name and bytes already exists.', headers: { ...location, ...etag } },
        201: { ...Type.Ref(StoredFile), description: 'The new file.', headers: { ...location, ...etag } },
        ...problems([...refusedUploads, 'malformed_multipart', 'file_missing', 'file_unexpected', 'name_taken', 'unsupported_media_type'])
      }
    }
  }, async (request, reply) => {
    const { file, isNew } = await files.store({ owner: callerOf(request).account, upload: formUpload(request, maxFileBytes), mode: 'create' })
    reply.code(isNew ? 201 : 200).headers({ location: pathOf(file), etag: entityTag(file.sha256) })
    return fileOf(file, request.raw, links)
  })
}

/** `PUT /uploads/:name`: a body of any type, which is the file. */
export const rawUploadRoutes: FastifyPluginAsyncTypebox<UploadRoutesOptions> = async (app, { files, links, limitTransfers }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // Fastify refuses an ill-formed Content-Type. Here it is ignored, as if there were none.
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['content-type'] !== undefined && !isMediaType(headers['content-type'].trim())) headers['content-type'] = 'application/octet-stream;ill-formed'
  })

  app.put('/uploads/:name', {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    links: { 200: fileLinks, 201: fileLinks },
    schema: {
      operationId: 'putFile',
      summary: 'Create or replace a file',
      description: 'Stores the request body under this name. `Content-Type` is its media type. `If-None-Match: *` only creates, `If-Match` only replaces that version; otherwise the response is 412. `Content-Digest` and `Repr-Digest` are verified before the file becomes visible.',
      ...codeSamples('curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/second.pdf'),
      tags: ['Files'],
      params: FileParams,
      headers: Type.Composite([ChangeHeaders, DigestHeaders]),
      consumes: ['application/octet-stream'],
      body: UploadBytes,
      response: {
        200: { ...Type.Ref(StoredFile), description: 'The file was replaced.', headers: etag },
        201: { ...Type.Ref(StoredFile), description: 'The new file.', headers: { ...location, ...etag } },
        ...problems([...refusedUploads, 'partial_upload', 'precondition_failed'])
      }
    }
  }, async (request, reply) => {
    if (request.headers['content-range'] !== undefined) throw new Problem('partial_upload')
    const upload = rawUpload(request, request.params.name)
    const { file, isNew } = await files.store({ owner: callerOf(request).account, upload, mode: 'put', precondition: preconditionOf(request.headers) })
    reply.code(isNew ? 201 : 200).header('etag', entityTag(file.sha256))
    if (isNew) reply.header('location', pathOf(file))
    return fileOf(file, request.raw, links)
  })
}

/** The file in a form. Its name is not known before the form is read, and its size only roughly. @throws file_missing. */
function formUpload (request: FastifyRequest, maxFileBytes: number): Upload {
  const contentType = request.headers['content-type']
  if (contentType === undefined) throw new Problem('file_missing')
  const body = openUploadBody(request.raw)
  const { announcedBytes } = body
  return {
    name: undefined,
    minBytes: Math.max(0, (announcedBytes ?? 0) - FORM_OVERHEAD_BYTES),
    maxBytes: announcedBytes ?? Number.MAX_SAFE_INTEGER,
    async read (use) {
      await readForm({ body, contentType, maxFileBytes, parse: (source, options) => withBody(request, source).parts(options) as AsyncIterable<MultipartFile> }, use)
      body.confirm()
    }
  }
}

/** The request as `@fastify/multipart` reads it, with `source` as its body: the plugin would read the socket itself. */
function withBody (request: FastifyRequest, source: Readable): FastifyRequest {
  const raw = Object.assign(source, { headers: request.raw.headers })
  return Object.create(request, { raw: { value: raw } }) as FastifyRequest
}

/** A body that is the file. */
function rawUpload (request: FastifyRequest, name: string): Upload {
  const { announcedBytes, bytes, confirm } = openUploadBody(request.raw)
  return {
    name,
    minBytes: announcedBytes ?? 0,
    maxBytes: announcedBytes ?? Number.MAX_SAFE_INTEGER,
    async read (use) {
      await use({ name, type: declaredType(request), bytes })
      confirm()
    }
  }
}

/** The declared type of a raw upload, from the headers as sent. */
function declaredType ({ raw }: FastifyRequest): string | undefined {
  const at = raw.rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type')
  return at === -1 ? undefined : raw.rawHeaders[at + 1]
}
