import multipart from '@fastify/multipart'
import type { FastifyReply } from 'fastify'
import { fileName, folderOrRoot, queriedName } from '../files/names.ts'
import { type Describing, fileLinks, fileOf, pathOf, type StoredFile } from '../files/schemas.ts'
import { callerOf, uploaderOf } from '../http/caller.ts'
import { cutPage, linkPage, nextPageOf, pageOf } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import { entityTag } from '../metadata/preconditions.ts'
import type { StoreResult, UploadRecord } from '../metadata/upload-records.ts'
import { invalidField } from '../problems.ts'
import {
  acceptAnyBody, declaredType, modifiedAtOf, openPartialBody, PART_FIELDS, rawUpload, refuseField, streamedBody
} from './body.ts'
import { formUpload, multipartLimits } from './multipart.ts'
import { draftContent, findRest, isDraft, isTus, nothingToContinue } from './protocols.ts'
import {
  addDiscovery, addResumableOperations, addUploadHeaders, createUploadRequests, type HttpExchange, isStored,
  type StoredUpload, uploadConditionOf, type UploadEndpoint
} from './resumable-requests.ts'
import { listUploads, ownOperations } from './resumable-schemas.ts'
import { putFile, UPLOAD_PATH, uploadFile, uploadOf, UPLOADS_PATH, uploadUrl } from './schemas.ts'
import type { UploadAppend } from './upload-session.ts'

/** A complete body up to this size does not become a resumable upload: sending it again costs less. */
const MAX_ORDINARY_BYTES = 1024 ** 2

/** The methods of each path of uploads. */
const METHODS = {
  [UPLOADS_PATH]: 'GET, HEAD, OPTIONS, POST',
  [UPLOAD_PATH]: 'DELETE, GET, HEAD, OPTIONS, PATCH, POST',
  '/uploads/:name': 'DELETE, GET, HEAD, OPTIONS, PUT'
}

/** `POST /`: a form with one file. */
export const formUploadRoutes: Routes = async (app, { config, files, links, ids, limitTransfers }) => {
  const { maxFileBytes } = config
  app.removeAllContentTypeParsers()
  await app.register(multipart, { limits: multipartLimits })

  app.post('/', {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    links: { 200: fileLinks, 201: fileLinks },
    schema: uploadFile
  }, async (request, reply) => {
    const upload = formUpload(request, { folder: folderIn(request.query), maxFileBytes })
    const { file, isNew } = await files.store({ uploader: uploaderOf(request), upload })
    reply.code(isNew ? 201 : 200).headers({ location: pathOf(file), etag: entityTag(file.sha256) })
    return fileOf(file, request.raw, { links, ids })
  })
}

/** `PUT /uploads/:name`: a body of any type, which is the file, or a part of it. */
export const rawUploadRoutes: Routes = async (app, { files, uploads, links, ids, limitTransfers }) => {
  const endpoint = ownEndpoint({ links, ids })
  const requests = createUploadRequests({ uploads, endpoint })
  acceptAnyBody(app)
  addUploadHeaders(app, uploads)

  app.put('/uploads/:name', {
    onRequest: limitTransfers,
    validatorCompiler: streamedBody,
    links: { 200: fileLinks, 201: fileLinks },
    schema: putFile
  }, async (request, reply) => {
    const exchange = { request, reply }
    const part = await storePart(exchange, request.params.name)
    if (part === undefined) {
      const upload = rawUpload(request.raw, { name: request.params.name, modifiedAt: modifiedAtOf(request.headers) })
      const put = { conditions: uploadConditionOf(request) }
      const stored = await files.store({ uploader: uploaderOf(request), upload, put })
      return answerFile(exchange, stored, { links, ids })
    }
    requests.describe(exchange, part)
    if (isStored(part)) return endpoint.answerFile(exchange, part)
    return sendUpload(exchange, uploadOf(part), uploadUrl(part, request.raw, links))
  })

  /** Stores the body as a part of a resumable upload; undefined if it is the whole file. */
  async function storePart (exchange: HttpExchange, name: string): Promise<UploadRecord | undefined> {
    const { request } = exchange
    const { headers } = request
    if (PART_FIELDS.every(name => headers[name] === undefined)) return undefined
    if (isTus(headers)) refuseField('Clients of tus create uploads with POST /api/uploads.')
    // Otherwise a partial body would be stored as a whole file.
    if (headers['upload-complete'] !== undefined && !isDraft(headers)) refuseField('Upload-Complete must be ?0 or ?1.')
    const body = openPartialBody(request.raw)
    const rest = findRest(headers, body.announcedBytes)
    if (rest !== undefined) return storeRest(exchange, name, { ...rest, ...body })
    if (!isDraft(headers)) return undefined
    // A range that is not the rest is the whole file.
    const content = draftContent(headers, body.announcedBytes, { isWhole: headers['content-range'] !== undefined })
    if (content.isLast && body.announcedBytes !== undefined && body.announcedBytes <= MAX_ORDINARY_BYTES) {
      return undefined
    }
    const type = declaredType(request.raw)
    return requests.createAndAppend(exchange, { name, type, method: 'PUT', ...content, body })
  }

  async function storeRest (exchange: HttpExchange, name: string, rest: UploadAppend): Promise<UploadRecord> {
    const { request } = exchange
    const upload = await uploads.findByName(callerOf(request).account, fileName(name))
    if (upload === undefined) throw nothingToContinue(rest.offset)
    const modifiedAt = modifiedAtOf(request.headers)
    return requests.append(exchange, upload.id, { ...rest, modifiedAt, precondition: uploadConditionOf(request) })
  }
}

/** Uploads of the caller that a client can continue. */
export const resumableUploadRoutes: Routes = async (app, { metadata, uploads, links, ids, limitTransfers }) => {
  await addResumableOperations(app, {
    uploads, endpoint: ownEndpoint({ links, ids }), limitTransfers, path: UPLOADS_PATH, operations: ownOperations
  })

  app.get(UPLOADS_PATH, {
    links: { 200: nextPageOf('listUploads', { name: '$request.query.name' }) },
    schema: listUploads
  }, async (request, reply) => {
    const { beforeId: before, limit } = pageOf(request.query)
    const name = queriedName(request.query.name)
    const found = await metadata.uploads.list(callerOf(request).account.id, { name, before, limit })
    const page = cutPage(found, limit, ({ sequence }) => String(sequence))
    const { entries, next } = await linkPage(reply, page, { links, path: UPLOADS_PATH })
    return { uploads: entries.map(uploadOf), next }
  })
}

/** `OPTIONS`: the protocols and limits of uploads. No credentials required. */
export const uploadDiscoveryRoutes: Routes = async (app, { uploads: { limits } }) => {
  for (const [url, allow] of Object.entries(METHODS)) addDiscovery(app, url, { allow, limits })
}

/** Answers like `POST /api/uploads`. Not in the schema: every generated client would have to handle both answers. */
function sendUpload ({ reply }: HttpExchange, upload: ReturnType<typeof uploadOf>, url: string): FastifyReply {
  return reply.code(201).header('location', url).type('application/json; charset=utf-8')
    .serializer(JSON.stringify).send(upload)
}

/** The query is not validated, because the body is not. @throws validation_failed, name_invalid. */
function folderIn ({ folder = '' }: { folder?: string | string[] }): string {
  if (typeof folder === 'string') return folderOrRoot(folder)
  throw invalidField('folder', 'is given more than once')
}

/** The uploads of the caller. */
function ownEndpoint (describing: Describing) {
  return {
    urlOf: (request, upload) => uploadUrl(upload, request.raw, describing.links),
    answerFile: (exchange: HttpExchange, { result }: StoredUpload) => answerFile(exchange, result, describing)
  } satisfies UploadEndpoint
}

/** Answers like `PUT /uploads/{name}`. */
function answerFile (
  { request, reply }: HttpExchange, { file, isNew }: StoreResult, describing: Describing
): StoredFile {
  reply.code(isNew ? 201 : 200).header('etag', entityTag(file.sha256))
  if (isNew) reply.header('location', pathOf(file))
  else reply.removeHeader('location')
  return fileOf(file, request.raw, describing)
}
