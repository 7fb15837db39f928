import { randomBytes } from 'node:crypto'
import type { Http2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../http/caller.ts'
import { refuseForeignParameters } from '../http/foreign-parameters.ts'
import type { Links } from '../http/links.ts'
import { cutPage, limitOf, nextPageOf } from '../http/pagination.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import type { FilePosition } from '../metadata/records.ts'
import { codeSamples } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import { Problem } from '../problems.ts'
import { positionOf, type Cursors, type Listing } from './cursor.ts'
import type { Files } from './files.ts'
import { namePrefix } from './names.ts'
import { Bytes, ChangeHeaders, contentRange, DeletionQuery, DownloadHeaders, DownloadQuery, FileList, FileListQuery, FileParams, fileLinks, fileOf, HeadHeaders, nextPage, presigned, Rename, representation, StoredFile, validators } from './schemas.ts'

interface FileRoutesOptions { files: Files, cursors: Cursors, links: Links, limitTransfers: TransferLimits }

/** Operations that read files and their metadata. */
export const readFileRoutes: FastifyPluginAsyncTypebox<FileRoutesOptions> = async (app, { files, cursors, links, limitTransfers }) => {
  const whole = { description: 'The whole file.', content: { '*/*': { schema: Bytes('The bytes of the file.'), example: 'the bytes' } }, headers: { ...validators, ...representation } }
  const headResponses = {
    200: whole,
    304: { description: 'The client has the current content.', type: 'null', headers: validators },
    ...problems(['validation_failed', 'not_found', 'precondition_failed', 'file_damaged'])
  }
  const downloadResponses = {
    ...headResponses,
    206: { ...whole, description: 'The requested ranges; several of them as `multipart/byteranges`.', headers: { ...whole.headers, ...contentRange } },
    307: { description: 'The bytes are at another address, for this request and a limited time. Only if the server is set up for it.', type: 'null', headers: presigned },
    ...problems(['range_not_satisfiable', 'too_many_transfers'])
  }

  app.get('/uploads/:name', {
    exposeHeadRoute: false,
    onRequest: limitTransfers,
    preValidation: refuseForeignParameters,
    schema: {
      operationId: 'downloadFile',
      summary: 'Download a file',
      description: 'Returns the bytes as an attachment, with headers that prevent HTML and SVG from running scripts in a browser. Supports conditional and range requests (RFC 9110). More than 32 ranges are ignored. With `version`, returns a former content of the file.',
      ...codeSamples(
        'curl -f -u test_user:pwd -o copy.pdf http://127.0.0.1:5000/uploads/report.pdf',
        'curl -f -u test_user:pwd -r 0-8 http://127.0.0.1:5000/uploads/report.pdf'
      ),
      tags: ['Files'],
      params: FileParams,
      querystring: DownloadQuery,
      headers: DownloadHeaders,
      response: downloadResponses
    }
  }, async (request, reply) => sendFile({ request, reply, name: request.params.name, query: request.query }, files))

  app.head('/uploads/:name', {
    preValidation: refuseForeignParameters,
    // With the operation id in the schema, @fastify/swagger would copy the schema before its security is set.
    config: { swagger: { exposeHeadRoute: true }, swaggerTransform: ({ schema, url }) => ({ schema: { ...schema, operationId: 'headFile' }, url }) },
    schema: {
      summary: 'Get the headers of a file',
      description: 'Returns the headers of a download without the bytes. Ranges are ignored.',
      ...codeSamples('curl -f -I -u test_user:pwd http://127.0.0.1:5000/uploads/report.pdf'),
      tags: ['Files'],
      params: FileParams,
      querystring: DownloadQuery,
      headers: HeadHeaders,
      response: headResponses
    }
  }, async (request, reply) => sendFile({ request, reply, name: request.params.name, query: request.query }, files))

  app.get('/api/files', {
    links: { 200: nextPageOf('listFiles', { order: '$request.query.order', prefix: '$request.query.prefix' }) },
    schema: {
      operationId: 'listFiles',
      summary: 'List files',
      description: 'Lists your files, page by page. Pagination is constant-time and stable under concurrent changes.',
      ...codeSamples('curl -f -u test_user:pwd "http://127.0.0.1:5000/api/files?order=newest&limit=10"'),
      tags: ['Files'],
      querystring: FileListQuery,
      response: {
        200: { ...Type.Ref(FileList), description: 'A page.', headers: nextPage },
        ...problems(['validation_failed'])
      }
    }
  }, async (request, reply) => {
    const { order = 'name', prefix, cursor } = request.query
    if (prefix !== undefined && order !== 'name' && order !== '-name') throw new Problem('validation_failed', { errors: [{ field: 'prefix', message: 'needs an order by name' }] })
    const { id: ownerId } = callerOf(request).account
    const selection = { order, prefix: prefix === undefined ? undefined : namePrefix(prefix) }
    const listing: Listing = [ownerId, order, selection.prefix ?? '']
    const after = await cursors.read<FilePosition>(cursor, listing)
    const limit = limitOf(request.query)
    const page = cutPage(await files.list(ownerId, { ...selection, limit, after }), limit, last => cursors.write(positionOf(last, order), listing))
    const next = await page.next
    if (next !== null) reply.header('link', links.toNext(request.raw, '/api/files', { ...request.query, limit: String(limit - 1), cursor: next }))
    return { files: page.entries.map(file => fileOf(file, request.raw, links)), next }
  })

  app.get('/api/files/:name', {
    preValidation: refuseForeignParameters,
    schema: {
      operationId: 'getFile',
      summary: 'Get file metadata',
      description: 'Returns name, size, media type, SHA-256, timestamps and URL of a file.',
      ...codeSamples('curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/report.pdf'),
      tags: ['Files'],
      params: FileParams,
      response: { 200: { ...Type.Ref(StoredFile), description: 'The file.' }, ...problems(['validation_failed', 'not_found']) }
    }
  }, async request => fileOf(await files.get(callerOf(request).account.id, request.params.name), request.raw, links))
}

/** Operations that rename and delete files. */
export const changeFileRoutes: FastifyPluginAsyncTypebox<FileRoutesOptions> = async (app, { files, links }) => {
  app.delete('/uploads/:name', {
    preValidation: refuseForeignParameters,
    schema: {
      operationId: 'deleteFile',
      summary: 'Delete a file',
      description: 'Moves the file with its versions to the trash, from which it can be restored for some time, 30 days by default. With `permanent=true`, deletes them for good. With `If-Match`, only if the file still has that content. Downloads in progress complete.',
      ...codeSamples('curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/uploads/second.pdf'),
      tags: ['Files'],
      params: FileParams,
      querystring: DeletionQuery,
      headers: ChangeHeaders,
      response: { 204: { description: 'The file was deleted.', type: 'null' }, ...problems(['validation_failed', 'not_found', 'precondition_failed', 'storage_full']) }
    }
  }, async (request, reply) => {
    const { params: { name }, query: { permanent = false }, headers } = request
    await files.remove(callerOf(request).account.id, name, { precondition: preconditionOf(headers), isPermanent: permanent })
    return reply.code(204).send()
  })

  app.patch('/api/files/:name', {
    preValidation: refuseForeignParameters,
    links: { 200: fileLinks },
    schema: {
      operationId: 'renameFile',
      summary: 'Rename a file',
      description: 'Renames the file. The new name must be free. Bytes, media type, SHA-256 and creation time stay the same.',
      ...codeSamples(
        'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/draft.pdf',
        'curl -f -u test_user:pwd -X PATCH -H "Content-Type: application/json" -d \'{"name":"final.pdf"}\' http://127.0.0.1:5000/api/files/draft.pdf'
      ),
      tags: ['Files'],
      params: FileParams,
      body: Type.Ref(Rename),
      response: {
        200: { ...Type.Ref(StoredFile), description: 'The renamed file.' },
        ...problems(['malformed_json', 'validation_failed', 'name_invalid', 'not_found', 'name_taken', 'body_too_large', 'unsupported_media_type', 'extension_not_allowed', 'storage_full'])
      }
    }
  }, async request => fileOf(await files.rename(callerOf(request).account.id, request.params.name, request.body.name), request.raw, links))
}

interface Download { request: FastifyRequest, reply: FastifyReply, name: string, query: Static<typeof DownloadQuery> }

async function sendFile ({ request, reply, name, query: { version, disposition } }: Download, files: Files) {
  const { plan, bytes } = await files.download(callerOf(request).account.id, name, {
    method: request.method === 'HEAD' ? 'HEAD' : 'GET',
    headers: request.headers,
    disposition,
    version,
    createBoundary: () => randomBytes(16).toString('hex')
  })
  if (plan.status === 412) throw new Problem('precondition_failed')
  if (plan.status === 416) throw new Problem('range_not_satisfiable', { headers: plan.headers })
  reply.code(plan.status).headers(plan.headers)
  // The bytes are returned for Fastify to send: for a reply that is returned, it also listens to the end of the response.
  // Without an argument Fastify keeps the headers; from '' or null it would make JSON for a file that is JSON.
  return bytes === undefined || (bytes instanceof Readable && isAbandoned(reply, bytes)) ? reply.send() : bytes
}

/** Closes the file when the client gives up. Over HTTP/2 Fastify does not notice that if it happens before the response begins. */
function isAbandoned ({ raw }: FastifyReply, bytes: Readable): boolean {
  raw.once('close', () => bytes.destroy())
  const isClosed = raw.destroyed || ('stream' in raw && (raw.stream as Http2Stream).destroyed)
  if (isClosed) bytes.destroy()
  return isClosed
}
