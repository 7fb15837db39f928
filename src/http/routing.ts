import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import createRouter from 'find-my-way'
import { Problem } from '../problems.ts'
import { isDecodable } from './protection.ts'
import { ABSOLUTE_FORM, type RequestLog } from './request-log.ts'

/** A target that the router can read. One that can't be decoded would get no hook; `protect` refuses it. */
export function routablePath (request: IncomingMessage): string {
  const path = takeAuthority(request)
  return isDecodable(path.replace(/[?#].*/, '')) ? path : path.replaceAll('%', '%25')
}

/**
 * The path of a target in absolute form, `http://host/path`. Its authority replaces the Host field, as RFC 9112 section
 * 3.2.2 demands, for links and the cross-site check.
 */
function takeAuthority (request: IncomingMessage): string {
  const target = String(request.url)
  return target.startsWith('/')
    ? target
    : target.replace(ABSOLUTE_FORM, (_match, authority: string) => {
      request.headers.host = authority
      return '/'
    })
}

/**
 * Paths that end with a name, and those for names with a plain `/`. The document does not list these: OpenAPI has no
 * parameter of several segments.
 */
const NESTED = new Map([
  ['/uploads/:name', '/uploads/*'],
  ['/s/:secret/files/:name', '/s/:secret/files/*']
])

/**
 * Repeats each route whose path ends with a name, in which a `/` is `%2F`, at a path where it may be plain. Call it
 * before the routes are added, and before hooks that add something to a route: they see both.
 */
export function addNestedNames (app: FastifyInstance): void {
  app.addHook('onRoute', function (route) {
    const url = NESTED.get(route.url)
    if (url === undefined) return
    const { schema, preValidation = [] } = route
    this.route({
      ...route,
      url,
      schema: { ...schema, hide: true },
      preValidation: [readName, preValidation].flat()
    })
  })
}

async function readName (request: { params: unknown }): Promise<void> {
  const { '*': name, ...others } = request.params as { '*': string }
  request.params = { ...others, name }
}

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
