import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import proxyAddr from '@fastify/proxy-addr'
import { LogController, type FastifyInstance, type FastifyRequest } from 'fastify'
import type { FailureCode } from '../problems.ts'
import { findCaller, findVisit } from './caller.ts'

type RawRequest = FastifyRequest['raw']

/**
 * Logs one line for each request when it is over: client, method, path, status and duration in milliseconds, and
 * whether the connection closed before the end of the response. The query is left out, because a client may have put
 * its token there, and so are the secrets of links.
 */
export class RequestLog extends LogController {
  readonly #sentMethods = new WeakMap<RawRequest, string>()
  readonly #codes = new WeakMap<FastifyRequest, FailureCode>()

  override incomingRequest (): void {}

  /** Not used: Fastify does not call it if an HTTP/1.1 connection closes before the end of the response. */
  override requestCompleted (): void {}

  /** Replaces the method of a request, except in the log. */
  replaceMethod (request: RawRequest, method: string): void {
    this.#sentMethods.set(request, String(request.method))
    request.method = method
  }

  /** The line of a request that failed has the code of the problem. */
  fail (request: FastifyRequest, code: FailureCode): void {
    this.#codes.set(request, code)
  }

  /** Logs each request when its response is finished or its connection closes. */
  watch (app: FastifyInstance): void {
    app.addHook('onRequest', (request, reply, done) => {
      // Read now: after the stream has closed, HTTP/2 no longer gives the address.
      const { ip, originalUrl } = request
      reply.raw.once('close', () => {
        const { raw, log } = request
        log.info({
          method: this.#sentMethods.get(raw) ?? raw.method,
          path: loggedPath(originalUrl),
          status: reply.statusCode,
          milliseconds: Math.round(reply.elapsedTime * 100) / 100,
          // pino leaves undefined fields out.
          code: this.#codes.get(request),
          client: ip,
          accountId: findCaller(request)?.account.id,
          linkId: findVisit(request)?.link.id,
          isCut: reply.raw.writableFinished ? undefined : true
        }, 'request')
      })
      done()
    })
  }
}

/** The beginning of a target in absolute form (RFC 9112 section 3.2.2), with its authority. */
export const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)\/?/i

/** `/s/` and the secret of a link. A router decodes `%73`; more slashes are a mistake that the log must not repeat. */
const LINK = /^\/+(?:s|%73)\/+[^/?#]*/

/** The address of a link in a longer or mistyped path, which is 404. */
const MISTYPED = /(?:\/|%2f)(?:s|%73)(?:\/|%2f)+[0-9A-Za-z]{22}/gi

/** Whether a path is one of links. */
export function isOfLink (path: string): boolean {
  return LINK.test(path)
}

/** The path of a target without the secret of a link, for the log. */
export function loggedPath (target: string): string {
  return target.replace(ABSOLUTE_FORM, '/').replace(/\?.*/, '').replace(LINK, '/s/-').replaceAll(MISTYPED, '/s/-')
}

/** Ids accepted from a proxy: characters that need no escaping in a log, a header or a URN. */
const GIVEN_ID = /^[A-Za-z0-9-]{1,64}$/

/**
 * Makes request ids: random UUIDs, because a counter would start again after a restart, and users see the ids in their
 * events. The `X-Request-Id` of a proxy in `trustProxy` (addresses or CIDR ranges) is used as it is, so that both logs
 * have the same id. From other clients it is ignored: they could give two requests the same id.
 */
export function createRequestIds (trustProxy: string[] | undefined): (request: IncomingMessage) => string {
  const isProxy = proxyAddr.compile(trustProxy ?? [])

  return ({ headers, socket }) => {
    const given = headers['x-request-id']?.toString()
    return given !== undefined && GIVEN_ID.test(given) && isProxy(String(socket.remoteAddress), 0)
      ? given
      : randomUUID()
  }
}
