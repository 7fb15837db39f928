import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OpenBlob } from '../blobs/blob-store.ts'
import { callerOf } from '../caller.ts'
import { Problem, type FailureCode } from '../errors.ts'
import type { Links } from '../http/links.ts'
import type { FileRecord } from '../metadata/metadata.ts'
import { problems } from '../http/problem-responses.ts'
import { readCursor, writeCursor } from './cursor.ts'
import { planDownload, type Piece } from './download.ts'
import type { Files, ReceivedUpload } from './files.ts'
import { readForm } from './form.ts'
import { isMediaType } from './media-type.ts'
import { entityTag, permitsChange } from './preconditions.ts'
import { DownloadQuery, File, FileList, FileListQuery, FileParams, Rename, UploadBytes, UploadForm } from './schemas.ts'
import { boundForm, openUploadBody, type UploadBody } from './upload-body.ts'

export interface FileRoutesOptions { files: Files, links: Links, maxFileBytes: number }

/** What any operation on files can answer to a credential. */
const refusedCredentials: FailureCode[] = ['credentials_missing', 'credentials_malformed', 'credentials_wrong', 'token_malformed', 'token_expired', 'token_revoked']

/** Failures of both kinds of upload. */
const refusedUploads: FailureCode[] = [...refusedCredentials, 'name_invalid', 'upload_incomplete', 'digest_malformed', 'digest_mismatch', 'file_too_large', 'quota_exceeded', 'extension_not_allowed', 'content_encoding_unsupported', 'storage_full']

const location = { Location: { type: 'string', format: 'uri-reference', description: 'Path of the file.' } }
const etag = { ETag: { type: 'string', description: 'Strong entity tag, from the SHA-256.' } }

/** Streams are checked as they flow and a name by its rule: Ajv would only see that a body is no JSON value. */
const streamedBody = () => () => true

/** `POST /`: a form, read part by part. */
export const formUploadRoutes: FastifyPluginAsyncTypebox<FileRoutesOptions> = async (app, { files, links, maxFileBytes }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('multipart/form-data', (_request, payload, done) => done(null, payload))

  app.post('/', {
    validatorCompiler: streamedBody,
    schema: {
      operationId: 'uploadFile',
      summary: 'Upload a file',
      description: 'Takes a form with one part `file`. The same name with the same bytes again is 200 and the file that is there, so a retry is safe; with other bytes it is 409 and nothing changes. `Content-Digest` and `Repr-Digest` cover the whole form as sent.',
      tags: ['Start here'],
      consumes: ['multipart/form-data'],
      body: UploadForm,
      response: {
        200: { ...Type.Ref(File), description: 'The file was there already, byte for byte.', headers: { ...location, ...etag } },
        201: { ...Type.Ref(File), description: 'The new file.', headers: { ...location, ...etag } },
        ...problems([...refusedUploads, 'malformed_multipart', 'file_missing', 'file_unexpected', 'name_taken', 'unsupported_media_type'])
      }
    }
  }, async (request, reply) => {
    const received = await receiveForm(request, openUploadBody(request.raw), { files, maxFileBytes })
    const { file, isNew } = await files.create(received)
    reply.code(isNew ? 201 : 200).headers({ location: pathOf(file), etag: entityTag(file.sha256) })
    return fileOf(file, request, links)
  })
}

/** `PUT /uploads/:name`: the body as it is, of any type. */
export const rawUploadRoutes: FastifyPluginAsyncTypebox<FileRoutesOptions> = async (app, { files, links }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // Fastify itself refuses a Content-Type that is not well formed; here such a one is as good as none.
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['content-type'] !== undefined && !isMediaType(headers['content-type'].trim())) headers['content-type'] = 'application/octet-stream;ill-formed'
  })

  app.put('/uploads/:name', {
    validatorCompiler: streamedBody,
    schema: {
      operationId: 'putFile',
      summary: 'Upload or replace a file',
      description: 'Stores the body under the name, as `curl -T` sends it. `If-None-Match: *` only creates, `If-Match` only replaces that version; who comes second gets 412. `Content-Digest` and `Repr-Digest` are verified before the file can be seen.',
      tags: ['Files'],
      params: FileParams,
      consumes: ['application/octet-stream'],
      body: UploadBytes,
      response: {
        200: { ...Type.Ref(File), description: 'The file was replaced.', headers: etag },
        201: { ...Type.Ref(File), description: 'The new file.', headers: { ...location, ...etag } },
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
    return fileOf(file, request, links)
  })
}

/** Everything about files that has no body to stream in. */
export const fileRoutes: FastifyPluginAsyncTypebox<FileRoutesOptions> = async (app, { files, links }) => {
  const bytesOfFile = {
    description: 'The bytes, as an attachment that runs nothing in a browser. Preconditions and ranges of RFC 9110 are honoured; a range list that is overlong is passed over.',
    params: FileParams,
    querystring: DownloadQuery
  }
  const downloadResponses = {
    200: { description: 'The whole file.', content: { '*/*': { schema: Type.String({ format: 'binary' }) } } },
    206: { description: 'The ranges asked for.', content: { '*/*': { schema: Type.String({ format: 'binary' }) } } },
    304: { description: 'The file is the one the client has.', type: 'null' },
    ...problems([...refusedCredentials, 'validation_failed', 'not_found', 'precondition_failed', 'range_not_satisfiable', 'file_damaged'])
  }

  app.get('/uploads/:name', {
    exposeHeadRoute: false,
    schema: { operationId: 'downloadFile', summary: 'Download a file', tags: ['Start here'], ...bytesOfFile, response: downloadResponses }
  }, async (request, reply) => sendFile({ request, reply, name: request.params.name, disposition: request.query.disposition ?? 'attachment' }, files))

  app.head('/uploads/:name', {
    schema: { operationId: 'headFile', summary: 'Look at a file\'s headers', tags: ['Files'], ...bytesOfFile, response: downloadResponses }
  }, async (request, reply) => sendFile({ request, reply, name: request.params.name, disposition: request.query.disposition ?? 'attachment' }, files))

  app.delete('/uploads/:name', {
    schema: {
      operationId: 'deleteFile',
      summary: 'Delete a file',
      description: 'With `If-Match` only that version. Who is downloading it gets it whole.',
      tags: ['Files'],
      params: FileParams,
      response: { 204: { description: 'The file is gone.', type: 'null' }, ...problems([...refusedCredentials, 'not_found', 'precondition_failed', 'storage_full']) }
    }
  }, async (request, reply) => {
    await files.remove(callerOf(request).account.id, request.params.name, permitsChange(request.headers))
    return reply.code(204).send()
  })

  app.get('/api/files', {
    schema: {
      operationId: 'listFiles',
      summary: 'List files',
      description: 'The caller\'s files, page by page. A page costs the same wherever it lies, and shows no file twice while others come and go.',
      tags: ['Files'],
      querystring: FileListQuery,
      response: {
        200: { ...Type.Ref(FileList), description: 'A page.', headers: { Link: { type: 'string', description: 'The next page, `rel="next"`; absent on the last one (RFC 8288).' } } },
        ...problems([...refusedCredentials, 'validation_failed'])
      }
    }
  }, async (request, reply) => {
    const { order = 'name', prefix, cursor } = request.query
    const limit = Number(request.query.limit ?? 100)
    if (prefix !== undefined && order !== 'name' && order !== '-name') throw new Problem('validation_failed', { errors: [{ field: 'prefix', message: 'goes with the name orders only' }] })
    const after = cursor === undefined ? undefined : readCursor(cursor, order)
    const found = await files.list(callerOf(request).account.id, { order, prefix: prefix?.normalize('NFC'), limit: limit + 1, after })
    const page = found.slice(0, limit)
    const last = page.at(-1)
    const next = found.length > limit && last !== undefined ? writeCursor(last, order) : null
    if (next !== null) reply.header('link', `<${links.to(request.raw, `/api/files?${new URLSearchParams({ ...request.query, cursor: next })}`)}>; rel="next"`)
    return { files: page.map(file => fileOf(file, request, links)), next }
  })

  app.get('/api/files/:name', {
    schema: {
      operationId: 'getFile',
      summary: 'See the facts of a file',
      tags: ['Files'],
      params: FileParams,
      response: { 200: { ...Type.Ref(File), description: 'The file.' }, ...problems([...refusedCredentials, 'not_found']) }
    }
  }, async request => fileOf(await files.get(callerOf(request).account.id, request.params.name), request, links))

  app.patch('/api/files/:name', {
    schema: {
      operationId: 'renameFile',
      summary: 'Rename a file',
      description: 'Bytes, type, sha256 and creation time stay.',
      tags: ['Files'],
      params: FileParams,
      body: Rename,
      response: {
        200: { ...Type.Ref(File), description: 'The file under its new name.' },
        ...problems([...refusedCredentials, 'malformed_json', 'validation_failed', 'name_invalid', 'not_found', 'name_taken', 'body_too_large', 'unsupported_media_type', 'extension_not_allowed', 'storage_full'])
      }
    }
  }, async request => fileOf(await files.rename(callerOf(request).account.id, request.params.name, request.body.name), request, links))
}

/** The one part `file` of a form; nothing stays of it where the form turns out wrong. */
async function receiveForm (request: FastifyRequest, body: UploadBody, { files, maxFileBytes }: Pick<FileRoutesOptions, 'files' | 'maxFileBytes'>): Promise<ReceivedUpload> {
  const contentType = request.headers['content-type']
  if (contentType === undefined) throw new Problem('file_missing')
  let received: ReceivedUpload | undefined
  try {
    for await (const part of readForm(boundForm(body, maxFileBytes), contentType)) {
      if (part.filename === undefined) continue
      if (part.name !== 'file') throw new Problem('file_unexpected', { detail: 'The file must be in the field named file.' })
      if (received !== undefined) throw new Problem('file_unexpected', { detail: 'The form holds more than one file.' })
      received = await files.receive({ owner: callerOf(request).account, name: part.filename, type: part.type, bytes: part.bytes })
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

interface Download { request: FastifyRequest, reply: FastifyReply, name: string, disposition: 'attachment' | 'inline' }

async function sendFile ({ request, reply, name, disposition }: Download, files: Files) {
  const { file, blob } = await files.open(callerOf(request).account.id, name)
  const plan = planDownload({
    method: request.method === 'HEAD' ? 'HEAD' : 'GET',
    headers: { ...request.headers, 'want-repr-digest': request.headers['want-repr-digest']?.toString() },
    disposition,
    boundary: randomBytes(16).toString('hex')
  }, file, Date.now())
  const isBodyWanted = request.method === 'GET' && 'pieces' in plan && plan.pieces.length > 0
  if (!isBodyWanted) await blob.close()
  if (plan.status === 412) throw new Problem('precondition_failed')
  if (plan.status === 416) throw new Problem('range_not_satisfiable', { headers: plan.headers })
  reply.code(plan.status).headers(plan.headers)
  return isBodyWanted ? reply.send(bodyOf(plan.pieces, blob)) : reply.send(request.method === 'GET' && plan.status !== 304 ? '' : null)
}

/** One range goes straight from the disk; several are strung together with the text between them. */
function bodyOf (pieces: Piece[], blob: OpenBlob): Readable {
  const [only] = pieces
  if (pieces.length === 1 && only !== undefined && typeof only !== 'string') return blob.read(only)
  return Readable.from(strung(pieces, blob), { objectMode: false })
}

async function * strung (pieces: Piece[], blob: OpenBlob): AsyncGenerator<Uint8Array | string> {
  try {
    for (const piece of pieces) {
      if (typeof piece === 'string') yield piece
      else yield * blob.read(piece)
    }
  } finally {
    await blob.close()
  }
}

function pathOf ({ name }: FileRecord): string {
  return `/uploads/${encodeURIComponent(name)}`
}

function fileOf (file: FileRecord, request: FastifyRequest, links: Links) {
  const { name, size, type, sha256, createdAt, updatedAt } = file
  return {
    name,
    size,
    type,
    sha256,
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
    url: links.to(request.raw, pathOf(file))
  }
}
