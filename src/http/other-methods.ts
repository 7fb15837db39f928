import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import createRouter from 'find-my-way'
import { Problem } from '../problems.ts'
import type { RequestLog } from './request-log.ts'

/** Stands for all methods that no route has. Fastify reads no body for it. */
const UNKNOWN_METHOD = 'TRACE'

/**
 * Answers requests without a route: 405 and `Allow` if their path has other methods (RFC 9110 section 15.5.6) and is
 * not hidden, else 404. Call it before the routes are added, and after hooks that come before this answer.
 */
export function refuseOtherMethods (
  app: FastifyInstance, requestLog: RequestLog, isHidden: (url: string) => boolean
): void {
  // Finds the methods of a path, whatever the method of the request. Its own are not used.
  const paths = createRouter({ maxParamLength: Infinity })
  app.addHook('onRoute', ({ url, method }) => {
    const known: Set<string> = paths.findRoute('GET', url)?.store ?? new Set()
    if (known.size === 0) paths.on('GET', url, () => {}, known)
    for (const name of [method].flat()) known.add(name)
  })
  // In a hook, because the body is parsed before a handler.
  app.addHook('onRequest', ({ url, routeOptions }, _reply, done) => {
    if (routeOptions.url !== undefined && routeOptions.url !== ANY_PATH) return done()
    const known: Set<string> | undefined = isHidden(url) ? undefined : paths.find('GET', url)?.store
    done(known === undefined
      ? new Problem('not_found')
      : new Problem('method_not_allowed', { headers: { allow: [...known].sort().join(', ') } }))
  })
  let supported = new Set<string>()
  app.addHook('onReady', done => {
    supported = new Set(app.supportedMethods)
    done()
  })
  // Node emits another event if a request expects something.
  for (const event of ['request', 'checkContinue', 'checkExpectation']) {
    app.server.prependListener(event, (request: IncomingMessage) => {
      if (!supported.has(String(request.method))) requestLog.replaceMethod(request, UNKNOWN_METHOD)
    })
  }
}

/** The CORS plugin answers preflights at this path, whatever theirs. */
const ANY_PATH = '*'
