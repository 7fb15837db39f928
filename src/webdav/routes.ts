import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, HTTPMethods, onRequestHookHandler } from 'fastify'
import type { HttpServices } from '../http/services.ts'
import { Problem } from '../problems.ts'
import { acceptAnyBody } from '../uploads/any-body.ts'
import { judgeIf } from './conditions.ts'
import { lockResource, unlockResource } from './locking.ts'
import { allowAllBut, DAV_METHODS, DISCOVERY } from './methods.ts'
import { ROOT } from './paths.ts'
import { createProblemSender } from './problem-xml.ts'
import { propfind } from './propfind.ts'
import { proppatch } from './proppatch.ts'
import { makeFolder, putFile, removeResource, sendResource } from './resources.ts'
import { copyResource, moveResource } from './transfers.ts'

type Handler = (context: HttpServices, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

interface Route { readonly handler: Handler, readonly onRequest?: onRequestHookHandler }

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
  app.addHook('preHandler', async request => judgeIf(context, request))
  addRoutes(app, context, {
    GET: { handler: sendResource, onRequest: context.limitTransfers },
    HEAD: { handler: sendResource },
    PROPFIND: { handler: propfind, onRequest: context.limitListings }
  })
}

/** Requests that change something. */
export const davChangeRoutes: FastifyPluginAsync<HttpServices> = async (app, context) => {
  app.addHook('onRequest', refuseQuery)
  addRoutes(app, context, {
    PUT: { handler: putFile, onRequest: context.limitTransfers },
    DELETE: { handler: removeResource },
    MKCOL: { handler: makeFolder },
    COPY: { handler: copyResource, onRequest: context.limitTransfers },
    MOVE: { handler: moveResource },
    PROPPATCH: { handler: proppatch },
    LOCK: { handler: lockResource },
    UNLOCK: { handler: unlockResource }
  })
}

/** If it was ignored, `DELETE /dav/box/?draft` would delete `box`. @throws malformed_request. */
async function refuseQuery ({ method, raw }: FastifyRequest): Promise<void> {
  if (!String(raw.url).includes('?')) return
  throw new Problem('malformed_request', { detail: `${method} takes no query. A ? in a name must be written as %3F.` })
}

function addRoutes (app: FastifyInstance, context: HttpServices, routes: Record<string, Route>): void {
  acceptAnyBody(app)
  app.setErrorHandler(createProblemSender(context))
  for (const [method, { handler, ...options }] of Object.entries(routes)) {
    for (const url of [ROOT, `${ROOT}/*`]) {
      app.route({
        method: method as HTTPMethods,
        url,
        ...options,
        exposeHeadRoute: false,
        schema: { hide: true },
        handler: (request, reply) => handler(context, request, reply)
      })
    }
  }
}
