import multipart from '@fastify/multipart'
import type { FastifyError } from 'fastify'
import type { IncomingBody } from '../files/incoming-file.ts'
import { uploaderOf } from '../http/caller.ts'
import { sendProblem } from '../http/error-handler.ts'
import type { Links } from '../http/links.ts'
import type { HttpServices, Routes } from '../http/services.ts'
import { Problem } from '../problems.ts'
import {
  acceptAnyBody, modifiedAtOf, PART_FIELDS, rawUpload, refuseFields, streamedBody
} from '../uploads/body.ts'
import { formUpload, multipartLimits } from '../uploads/multipart.ts'
import {
  addDiscovery, addResumableOperations, type HttpExchange, type UploadEndpoint
} from '../uploads/resumable-requests.ts'
import { admitVisitors } from './admission.ts'
import {
  LINK_FILES_PATH, LINK_UPLOADS_PATH, linkOperations, putSharedFile, type SharedUploadResult, uploadSharedFile
} from './upload-schemas.ts'
import { LINK_FILE_PATH } from './visitor-schemas.ts'

/** Uploads by an `upload` link. */
export const linkUploadRoutes: Routes = async (app, services) => {
  admitVisitors(app, services, { kind: 'upload' })
  app.setErrorHandler<FastifyError | Problem>((error, request, reply) =>
    sendProblem(withoutPaths(error), request, reply))
  await app.register(formRoutes, services)
  await app.register(rawRoutes, services)
  await app.register(resumableRoutes, services)
  await app.register(discoveryRoutes, services)
}

const formRoutes: Routes = async (app, services) => {
  const { config: { maxFileBytes }, limitVisits } = services
  app.removeAllContentTypeParsers()
  await app.register(multipart, { limits: multipartLimits })

  app.post(LINK_FILES_PATH, {
    onRequest: limitVisits,
    validatorCompiler: streamedBody,
    schema: uploadSharedFile
  }, async (request, reply) => {
    refuseFields(request.headers, CONDITIONS)
    return store({ request, reply }, formUpload(request, { folder: '', maxFileBytes }), services)
  })
}

const rawRoutes: Routes = async (app, services) => {
  acceptAnyBody(app)

  app.put(LINK_FILE_PATH, {
    onRequest: services.limitVisits,
    validatorCompiler: streamedBody,
    schema: putSharedFile
  }, async (request, reply) => {
    const { headers, params: { name }, raw } = request
    refuseFields(headers, [...CONDITIONS, ...PART_FIELDS])
    return store({ request, reply }, rawUpload(raw, { name, modifiedAt: modifiedAtOf(headers) }), services)
  })
}

const resumableRoutes: Routes = async (app, { uploads, links, limitVisits }) => {
  app.addHook('onRequest', ({ method, headers }, _reply, done) => {
    if (method === 'POST') refuseFields(headers, CONDITIONS)
    done()
  })
  await addResumableOperations(app, {
    uploads,
    endpoint: endpointOf(links),
    limitTransfers: limitVisits,
    path: LINK_UPLOADS_PATH,
    operations: linkOperations
  })
}

/** `OPTIONS`: the protocols and limits of uploads. */
const discoveryRoutes: Routes = async (app, { uploads: { limits } }) => {
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

/** The uploads of a visitor. */
function endpointOf (links: Links): UploadEndpoint {
  return {
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
  { request, reply }: HttpExchange, upload: IncomingBody, { files }: HttpServices
): Promise<SharedUploadResult> {
  const { requestedName: name, file: { size, sha256 } } = await files.store({ uploader: uploaderOf(request), upload })
  reply.code(201)
  return { name, size, sha256 }
}
