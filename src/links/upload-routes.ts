import multipart from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyError } from 'fastify'
import type { Files } from '../files/files.ts'
import type { IncomingBody } from '../files/incoming-file.ts'
import { sendProblem } from '../http/error-handler.ts'
import type { Links } from '../http/links.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { visitOf } from '../http/caller.ts'
import { Problem } from '../problems.ts'
import { acceptAnyBody } from '../uploads/any-body.ts'
import { formUpload } from '../uploads/form-upload.ts'
import { modifiedAtOf } from '../uploads/modified-time.ts'
import { multipartLimits } from '../uploads/multipart.ts'
import { rawUpload } from '../uploads/raw-upload.ts'
import { addDiscovery, addResumableOperations } from '../uploads/resumable-operations.ts'
import { type Exchange, streamedBody, type UploadDoor } from '../uploads/resumable-requests.ts'
import type { ResumableUploads } from '../uploads/resumable.ts'
import { type Headers, refuseField } from '../uploads/upload-fields.ts'
import { admitVisitors, type AdmissionOptions } from './admission.ts'
import type { LinkUses } from './link-uses.ts'
import {
  LINK_FILES_PATH, LINK_UPLOADS_PATH, linkOperations, putSharedFile, type SharedUploadResult, uploadSharedFile
} from './upload-schemas.ts'
import { LINK_FILE_PATH } from './visitor-schemas.ts'

export interface LinkUploadRoutesOptions {
  admission: AdmissionOptions
  files: Files
  uploads: ResumableUploads
  links: Links
  linkUses: LinkUses
  maxFileBytes: number
  /** Of visitors: 64 a link, 16 of them a network, and those of their network. */
  limitVisits: TransferLimits
}

type Options = LinkUploadRoutesOptions

/** Uploads by an `upload` link. */
export const linkUploadRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  app.setErrorHandler<FastifyError | Problem>((error, request, reply) =>
    sendProblem(withoutPaths(error), request, reply))
  await app.register(formRoutes, options)
  await app.register(rawRoutes, options)
  await app.register(resumableRoutes, options)
  await app.register(discoveryRoutes, options)
}

const formRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { admission, maxFileBytes, ...options }) => {
  admitVisitors(app, admission, { kind: 'upload' })
  app.removeAllContentTypeParsers()
  await app.register(multipart, { limits: multipartLimits })

  app.post(LINK_FILES_PATH, {
    onRequest: options.limitVisits,
    validatorCompiler: streamedBody,
    schema: uploadSharedFile
  }, async (request, reply) => {
    refuseFields(request.headers, CONDITIONS)
    return store({ request, reply }, formUpload(request, { folder: '', maxFileBytes }), options)
  })
}

const rawRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { admission, ...options }) => {
  admitVisitors(app, admission, { kind: 'upload' })
  acceptAnyBody(app)

  app.put(LINK_FILE_PATH, {
    onRequest: options.limitVisits,
    validatorCompiler: streamedBody,
    schema: putSharedFile
  }, async (request, reply) => {
    const { headers, params: { name }, raw } = request
    refuseFields(headers, [...CONDITIONS, ...PARTS])
    return store({ request, reply }, rawUpload(raw, { name, modifiedAt: modifiedAtOf(headers) }), options)
  })
}

const resumableRoutes: FastifyPluginAsyncTypebox<Options> = async (
  app, { admission, uploads, links, linkUses, limitVisits }
) => {
  admitVisitors(app, admission, { kind: 'upload' })
  app.addHook('onRequest', ({ method, headers }, _reply, done) => {
    if (method === 'POST') refuseFields(headers, CONDITIONS)
    done()
  })
  await addResumableOperations(app, {
    uploads,
    door: doorOf(links, linkUses),
    limitTransfers: limitVisits,
    path: LINK_UPLOADS_PATH,
    operations: linkOperations
  })
}

/** `OPTIONS`: the protocols and limits of uploads. */
const discoveryRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { admission, uploads: { limits } }) => {
  admitVisitors(app, admission, { kind: 'upload' })
  addDiscovery(app, LINK_UPLOADS_PATH, { allow: 'OPTIONS, POST', limits })
  addDiscovery(app, `${LINK_UPLOADS_PATH}/:id`, { allow: 'DELETE, GET, HEAD, OPTIONS, PATCH, POST', limits })
}

/** A lock tells what it is of, but the paths are the owner's. */
function withoutPaths (error: FastifyError | Problem): FastifyError | Problem {
  if (!(error instanceof Problem) || error.code !== 'file_locked') return error
  const { detail, members, ...options } = error.options
  return new Problem('file_locked', options)
}

/** Conditions, which would tell what is there. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-unmodified-since']

/** What says that a body is a part of a file. */
const PARTS = ['content-range', 'upload-complete', 'tus-resumable']

/** @throws upload_header_invalid. */
function refuseFields (headers: Headers, names: readonly string[]): void {
  const found = names.find(name => headers[name] !== undefined)
  if (found !== undefined) refuseField(`${found} is not accepted here.`)
}

/** The uploads of a visitor. */
function doorOf (links: Links, linkUses: LinkUses): UploadDoor {
  return {
    uploaderOf (request) {
      const { account: owner, link, now } = visitOf(request)
      return { owner, linkId: link.id, onStored: () => linkUses.add(link.id, now) }
    },
    urlOf: ({ params, raw }, { id }) =>
      links.to(raw, `/s/${(params as { secret: string }).secret}/uploads/${id}`),
    answerFile ({ reply }, { name, result: { file: { size, sha256 } } }): SharedUploadResult {
      reply.code(201).removeHeader('location')
      return { name, size, sha256 }
    }
  }
}

/** Stores the file of a request. */
async function store (
  { request, reply }: Exchange, upload: IncomingBody, { files, linkUses }: Pick<Options, 'files' | 'linkUses'>
): Promise<SharedUploadResult> {
  const { account: owner, link, now } = visitOf(request)
  const { asked: name, file: { size, sha256 } } = await files.store({ owner, upload, mode: 'link', linkId: link.id })
  linkUses.add(link.id, now)
  reply.code(201)
  return { name, size, sha256 }
}
