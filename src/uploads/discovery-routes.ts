import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ResumableUploads } from './resumable.ts'
import { UPLOAD_PATH, UPLOADS_PATH } from './schemas.ts'
import { tusDiscovery } from './tus.ts'
import { DRAFT_BYTES, TUS_BYTES, uploadLimit } from './upload-fields.ts'

/** The methods of each path. */
const METHODS = {
  [UPLOADS_PATH]: 'GET, HEAD, OPTIONS, POST',
  [UPLOAD_PATH]: 'DELETE, GET, HEAD, OPTIONS, PATCH, POST',
  '/uploads/:name': 'DELETE, GET, HEAD, OPTIONS, PUT'
}

/** `OPTIONS`, which tells without a credential what uploads can do. */
export const uploadDiscoveryRoutes: FastifyPluginAsyncTypebox<{ uploads: ResumableUploads }> = async (app, { uploads: { limits } }) => {
  for (const [url, allow] of Object.entries(METHODS)) {
    app.options(url, {
      // A preflight gets the headers of CORS as well.
      config: { cors: { preflightContinue: true } },
      schema: { hide: true }
    }, async (_request, reply) => reply.code(204).headers({
      allow,
      ...tusDiscovery,
      'tus-max-size': String(limits.maxBytes),
      'accept-patch': `${DRAFT_BYTES}, ${TUS_BYTES}`,
      'upload-limit': uploadLimit(limits)
    }).send())
  }
}
