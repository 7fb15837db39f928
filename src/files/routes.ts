import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../caller.ts'
import { Problem } from '../errors.ts'
import type { Links } from '../http/links.ts'
import type { FileRecord } from '../metadata/metadata.ts'
import { problems } from '../http/problem-responses.ts'
import type { Cursors } from './cursor.ts'
import { planDownload, type DownloadRequest } from './download.ts'
import type { Files } from './files.ts'
import { permitsChange } from './preconditions.ts'
import { ChangeHeaders, DownloadHeaders, DownloadQuery, File, FileList, FileListQuery, FileParams, Rename } from './schemas.ts'

interface FileRoutesOptions { files: Files, cursors: Cursors, links: Links }

/** The header that names a file's bytes. */
export const etag = { ETag: { type: 'string', description: 'Strong entity tag, from the SHA-256.' } }
const validators = { ...etag, 'Last-Modified': { type: 'string', description: 'When the bytes were stored.' } }
const representation = {
  'Accept-Ranges': { type: 'string', description: '`bytes`.' },
  'Content-Disposition': { type: 'string', description: 'The exact name, for saving (RFC 6266, RFC 8187).' },
  'Repr-Digest': { type: 'string', description: 'SHA-256 of the whole file, in Base64 (RFC 9530); absent where `Want-Repr-Digest` does not ask for it.' }
}

/** What reads files and their facts. */
export const readFileRoutes: FastifyPluginAsyncTypebox<FileRoutesOptions> = async (app, { files, cursors, links }) => {
  const bytesOfFile = {
    description: 'The bytes, as an attachment that runs nothing in a browser. Preconditions and ranges of RFC 9110 are honoured; a range list that is overlong is passed over.',
    params: FileParams,
    querystring: DownloadQuery,
    headers: DownloadHeaders
  }
  const bytes = { '*/*': { schema: Type.String({ format: 'binary' }), example: 'the bytes' } }
  const downloadResponses = {
    200: { description: 'The whole file.', content: bytes, headers: { ...validators, ...representation } },
    206: { description: 'The ranges asked for; several of them as `multipart/byteranges`.', content: bytes, headers: { ...validators, ...representation, 'Content-Range': { type: 'string', description: 'Of one range: which bytes of how many.' } } },
    304: { description: 'The file is the one the client has.', type: 'null', headers: validators },
    ...problems(['validation_failed', 'not_found', 'precondition_failed', 'range_not_satisfiable', 'file_damaged'])
  }

  app.get('/uploads/:name', {
    exposeHeadRoute: false,
    schema: { operationId: 'downloadFile', summary: 'Download a file', tags: ['Start here'], ...bytesOfFile, response: downloadResponses }
  }, async (request, reply) => sendFile({ request, reply, name: request.params.name, disposition: request.query.disposition }, files))

  app.head('/uploads/:name', {
    // With the id in its schema, the plugin would copy the schema before its security is known.
    config: { swagger: { exposeHeadRoute: true }, swaggerTransform: ({ schema, url }) => ({ schema: { ...schema, operationId: 'headFile' }, url }) },
    schema: { summary: 'Look at a file\'s headers', tags: ['Files'], ...bytesOfFile, response: downloadResponses }
  }, async (request, reply) => sendFile({ request, reply, name: request.params.name, disposition: request.query.disposition }, files))

  app.get('/api/files', {
    schema: {
      operationId: 'listFiles',
      summary: 'List files',
      description: 'The caller\'s files, page by page. A page costs the same wherever it lies, and shows no file twice while others come and go.',
      tags: ['Files'],
      querystring: FileListQuery,
      response: {
        200: { ...Type.Ref(FileList), description: 'A page.', headers: { Link: { type: 'string', description: 'The next page, `rel="next"`; absent on the last one (RFC 8288).' } } },
        ...problems(['validation_failed'])
      }
    }
  }, async (request, reply) => {
    const { order = 'name', limit: size = '100', prefix, cursor } = request.query
    const limit = Number(size)
    if (prefix !== undefined && order !== 'name' && order !== '-name') throw new Problem('validation_failed', { errors: [{ field: 'prefix', message: 'goes with the name orders only' }] })
    const listing = { ownerId: callerOf(request).account.id, order, prefix: prefix?.normalize('NFC') }
    const after = cursor === undefined ? undefined : cursors.read(cursor, listing)
    const found = await files.list(listing.ownerId, { ...listing, limit: limit + 1, after })
    const page = found.slice(0, limit)
    const last = page.at(-1)
    const next = found.length > limit && last !== undefined ? cursors.write(last, listing) : null
    if (next !== null) reply.header('link', `<${links.to(request.raw, `/api/files?${new URLSearchParams({ ...request.query, cursor: next })}`)}>; rel="next"`)
    return { files: page.map(file => fileOf(file, request, links)), next }
  })

  app.get('/api/files/:name', {
    schema: {
      operationId: 'getFile',
      summary: 'See the facts of a file',
      tags: ['Files'],
      params: FileParams,
      response: { 200: { ...Type.Ref(File), description: 'The file.' }, ...problems(['not_found']) }
    }
  }, async request => fileOf(await files.get(callerOf(request).account.id, request.params.name), request, links))
}

/** What changes files without a body to stream in. */
export const changeFileRoutes: FastifyPluginAsyncTypebox<FileRoutesOptions> = async (app, { files, links }) => {
  app.delete('/uploads/:name', {
    schema: {
      operationId: 'deleteFile',
      summary: 'Delete a file',
      description: 'With `If-Match` only that version. Who is downloading it gets it whole.',
      tags: ['Files'],
      params: FileParams,
      headers: ChangeHeaders,
      response: { 204: { description: 'The file is gone.', type: 'null' }, ...problems(['not_found', 'precondition_failed', 'storage_full']) }
    }
  }, async (request, reply) => {
    await files.remove(callerOf(request).account.id, request.params.name, permitsChange(request.headers))
    return reply.code(204).send()
  })

  app.patch('/api/files/:name', {
    schema: {
      operationId: 'renameFile',
      summary: 'Rename a file',
      description: 'Bytes, type, sha256 and creation time stay.',
      tags: ['Files'],
      params: FileParams,
      body: Type.Ref(Rename),
      response: {
        200: { ...Type.Ref(File), description: 'The file under its new name.' },
        ...problems(['malformed_json', 'validation_failed', 'name_invalid', 'not_found', 'name_taken', 'body_too_large', 'unsupported_media_type', 'extension_not_allowed', 'storage_full'])
      }
    }
  }, async request => fileOf(await files.rename(callerOf(request).account.id, request.params.name, request.body.name), request, links))
}

interface Download { request: FastifyRequest, reply: FastifyReply, name: string, disposition: DownloadRequest['disposition'] }

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
  // Without a payload Fastify leaves the headers as they are; of '' or null it would make JSON where the file is JSON.
  return isBodyWanted ? reply.send(blob.read(...plan.pieces)) : reply.send()
}

/** Where a file's bytes are, from the root of the server. */
export function pathOf ({ name }: FileRecord): string {
  return `/uploads/${encodeURIComponent(name)}`
}

/** What a client is told of a file. */
export function fileOf (file: FileRecord, request: FastifyRequest, links: Links) {
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
