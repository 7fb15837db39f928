import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { Files, ReceivedUpload } from '../files/files.ts'
import { isMediaType } from '../files/media-type.ts'
import { entityTag, permitsChange } from '../files/preconditions.ts'
import { ChangeHeaders, etag, fileLinks, fileOf, FileParams, location, pathOf, StoredFile } from '../files/schemas.ts'
import { callerOf } from '../http/caller.ts'
import type { Links } from '../http/links.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { codeSamples } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import { Problem, type FailureCode } from '../problems.ts'
import { boundForm, fileBounds, openUploadBody, type UploadBody } from './body.ts'
import { readForm } from './form.ts'
import { DigestHeaders, UploadBytes, UploadForm } from './schemas.ts'

interface UploadRoutesOptions { files: Files, links: Links, maxFileBytes: number, limitTransfers: TransferLimits }

/** Failures of both kinds of upload; `not_found` where the account was deleted while the bytes came. */
const refusedUploads: FailureCode[] = ['name_invalid', 'not_found', 'upload_incomplete', 'digest_malformed', 'digest_mismatch', 'file_too_large', 'quota_exceeded', 'extension_not_allowed', 'content_encoding_unsupported', 'storage_full', 'too_many_transfers']

/** Streams are checked as they flow and a name by its rule: Ajv would only see that a body is no JSON value. */
const streamedBody = () => () => true

/** `POST /`: a form, read part by part. */
export const formUploadRoutes: FastifyPluginAsyncTypebox<UploadRoutesOptions> = async (app, { files, links, maxFileBytes, limitTransfers }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('multipart/form-data', (_request, payload, done) => done(null, payload))

  app.post('/', {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    links: { 200: fileLinks, 201: fileLinks },
    schema: {
      operationId: 'uploadFile',
      summary: 'Upload a file',
      description: 'Creates a file from a form with one part named `file`. If a file with this name and the same bytes already exists, the answer is 200 with that file, so retries are safe. If its bytes differ, the answer is 409 and nothing changes. `Content-Digest` and `Repr-Digest` cover the whole form as sent.',
      ...codeSamples('curl -f -u test_user:pwd -F file=@report.pdf http://127.0.0.1:5000/'),
      tags: ['Files'],
      headers: DigestHeaders,
      consumes: ['multipart/form-data'],
      body: UploadForm,
      response: {
        200: { ...Type.Ref(StoredFile), description: 'The file was there already, byte for byte.', headers: { ...location, ...etag } },
        201: { ...Type.Ref(StoredFile), description: 'The new file.', headers: { ...location, ...etag } },
        ...problems([...refusedUploads, 'malformed_multipart', 'file_missing', 'file_unexpected', 'name_taken', 'unsupported_media_type'])
      }
    }
  }, async (request, reply) => {
    const received = await receiveForm(request, openUploadBody(request.raw), { files, maxFileBytes })
    const { file, isNew } = await files.create(received)
    reply.code(isNew ? 201 : 200).headers({ location: pathOf(file), etag: entityTag(file.sha256) })
    return fileOf(file, request.raw, links)
  })
}

/** `PUT /uploads/:name`: the body as it is, of any type. */
export const rawUploadRoutes: FastifyPluginAsyncTypebox<UploadRoutesOptions> = async (app, { files, links, limitTransfers }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // Fastify itself refuses a Content-Type that is not well formed; here such a one is as good as none.
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
      description: 'Stores the request body under this name. `Content-Type` is its media type. `If-None-Match: *` only creates, `If-Match` only replaces that version; otherwise the answer is 412. `Content-Digest` and `Repr-Digest` are verified before the file becomes visible.',
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
    const { account: owner } = callerOf(request)
    const { name } = request.params
    if (request.headers['content-range'] !== undefined) throw new Problem('partial_upload')
    const body = openUploadBody(request.raw)
    const permits = permitsChange(request.headers)
    await files.expect({ owner, name, size: body.announcedBytes, permits })
    const received = await files.receive({ owner, name, type: declaredType(request), bytes: body.bytes })
    await confirmOrDiscard(body, received, files)
    const { file, isNew } = await files.put(received, permits)
    reply.code(isNew ? 201 : 200).header('etag', entityTag(file.sha256))
    if (isNew) reply.header('location', pathOf(file))
    return fileOf(file, request.raw, links)
  })
}

/** The one part `file` of a form; nothing stays of it where the form turns out wrong. */
async function receiveForm (request: FastifyRequest, body: UploadBody, { files, maxFileBytes }: Pick<UploadRoutesOptions, 'files' | 'maxFileBytes'>): Promise<ReceivedUpload> {
  const { account: owner } = callerOf(request)
  const contentType = request.headers['content-type']
  if (contentType === undefined) throw new Problem('file_missing')
  await files.expectForm({ owner, ...fileBounds(body) })
  let received: ReceivedUpload | undefined
  try {
    for await (const part of readForm(boundForm(body, maxFileBytes), contentType)) {
      if (part.filename === undefined) continue
      if (part.name !== 'file') throw new Problem('file_unexpected', { detail: 'The file must be in the field named file.' })
      if (received !== undefined) throw new Problem('file_unexpected', { detail: 'The form holds more than one file.' })
      received = await files.receive({ owner, name: part.filename, type: part.type, bytes: part.bytes })
    }
  } catch (error) {
    if (received !== undefined) await files.discard(received)
    throw error
  }
  if (received === undefined) throw new Problem('file_missing', { detail: 'The form has no file in a field named file.' })
  await confirmOrDiscard(body, received, files)
  return received
}

async function confirmOrDiscard (body: UploadBody, received: ReceivedUpload, files: Files): Promise<void> {
  try {
    body.confirm()
  } catch (error) {
    await files.discard(received)
    throw error
  }
}

/** The declared type of a raw upload, from the head as it was sent. */
function declaredType ({ raw }: FastifyRequest): string | undefined {
  const at = raw.rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type')
  return at === -1 ? undefined : raw.rawHeaders[at + 1]
}
