import type {
  FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, HTTPMethods, onRequestHookHandler
} from 'fastify'
import type { HttpServices } from '../http/services.ts'
import { acceptAnyBody } from '../uploads/body.ts'
import { judgeIf } from './conditions.ts'
import { refuse } from './headers.ts'
import { lockResource, unlockResource } from './locking.ts'
import { allowAllBut, DAV_METHODS, DISCOVERY } from './methods.ts'
import { type DavRequest, davRequest, ROOT } from './paths.ts'
import { createProblemSender } from './problem-xml.ts'
import { createTurns, propfind } from './propfind.ts'
import { proppatch } from './proppatch.ts'
import { makeFolder, putFile, removeResource, sendResource } from './resources.ts'
import { copyResource, moveResource } from './transfers.ts'

type Handler = (dav: DavRequest) => Promise<unknown>

/** By method: what handles it, and the limit before that. */
type Handlers = Record<string, readonly [handler: Handler, limit?: onRequestHookHandler]>

/** What the drive can do. No credentials required. Register it before the other routes of the drive. */
export const davDiscoveryRoutes: FastifyPluginAsync = async app => {
  for (const [method, hasBody] of Object.entries(DAV_METHODS)) app.addHttpMethod(method, { hasBody })
  const discover = (allow: string) => async (_request: FastifyRequest, reply: FastifyReply) =>
    reply.code(204).headers({ ...DISCOVERY, allow }).send()
  for (const url of [ROOT, `${ROOT}/*`]) app.options(url, { schema: { hide: true } }, discover(allowAllBut()))
  // Explorer asks the root first.
  app.options('/', { schema: { hide: true } }, discover('GET, HEAD, OPTIONS, POST'))
}

/** Requests that change nothing. */
export const davReadRoutes: FastifyPluginAsync<HttpServices> = async (app, context) => {
  const judged = (handler: Handler): Handler => async dav => {
    await judgeIf(dav)
    return handler(dav)
  }
  const takeTurn = createTurns()
  addRoutes(app, context, {
    GET: [judged(sendResource), context.limitTransfers],
    HEAD: [judged(sendResource)],
    PROPFIND: [judged(dav => propfind(dav, takeTurn)), context.limitListings]
  })
}

/** Requests that change something. */
export const davChangeRoutes: FastifyPluginAsync<HttpServices> = async (app, context) => {
  app.addHook('onRequest', refuseQuery)
  addRoutes(app, context, {
    PUT: [putFile, context.limitTransfers],
    DELETE: [removeResource],
    MKCOL: [makeFolder],
    COPY: [copyResource, context.limitTransfers],
    MOVE: [moveResource],
    PROPPATCH: [proppatch],
    LOCK: [lockResource],
    UNLOCK: [unlockResource]
  })
}

/** If it was ignored, `DELETE /dav/box/?draft` would delete `box`. @throws malformed_request. */
async function refuseQuery ({ method, raw }: FastifyRequest) {
  if (String(raw.url).includes('?')) refuse(`${method} takes no query. A ? in a name must be written as %3F.`)
}

function addRoutes (app: FastifyInstance, context: HttpServices, handlers: Handlers) {
  acceptAnyBody(app)
  app.setErrorHandler(createProblemSender(context))
  for (const [method, [handler, ...onRequest]] of Object.entries(handlers)) {
    for (const url of [ROOT, `${ROOT}/*`]) {
      app.route({
        method: method as HTTPMethods,
        url,
        onRequest: onRequest.filter(limit => limit !== undefined),
        exposeHeadRoute: false,
        schema: { hide: true },
        handler: (request, reply) => handler(davRequest(context, request, reply))
      })
    }
  }
}
