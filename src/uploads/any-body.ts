import type { FastifyInstance } from 'fastify'
import { isMediaType } from '../files/media-type.ts'

/** Accepts bodies of any type, and leaves them to the routes of this Fastify scope. */
export function acceptAnyBody (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // Fastify refuses an ill-formed Content-Type. Here it is ignored, as if there were none.
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['content-type'] !== undefined && !isMediaType(headers['content-type'].trim())) headers['content-type'] = 'application/octet-stream;ill-formed'
  })
}
