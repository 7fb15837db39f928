import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isPrivate, networkOf } from '../accounts/network.ts'
import { type Config, isLoopback } from '../config.ts'
import { failures, Problem } from '../problems.ts'
import { countFieldLines } from './caller.ts'
import { parseUrl } from './links.ts'
import { isUploadState, shedLoad } from './load-shedding.ts'
import { isOfLink } from './request-log.ts'
import { SAFE_METHODS } from './wire-values.ts'

/** Statuses of refusals that are logged as security events. */
const REFUSALS = new Set<number>([401, 403, 429])

/** A year: the minimum of browsers' preload lists. */
const HSTS_SECONDS = 31_536_000

/** Number of requests examined for an unconfigured proxy. */
const PROXY_SAMPLE = 100

/** A host and perhaps a port (RFC 3986 sections 3.2.2 and 3.2.3). */
const AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d*)?$/

/** Response headers that a page of another origin may read. */
const EXPOSED_HEADERS = [
  'ETag', 'Location', 'Link', 'Content-Range', 'Content-Disposition', 'Repr-Digest', 'Retry-After',
  'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'X-Request-Id',
  'Upload-Offset', 'Upload-Length', 'Upload-Defer-Length', 'Upload-Complete', 'Upload-Limit',
  'Upload-Expires', 'Upload-Metadata', 'Accept-Patch',
  'Tus-Resumable', 'Tus-Version', 'Tus-Extension', 'Tus-Max-Size'
]

/** The header with the key of a session. Pages of other origins can't send it. */
export const SESSION_KEY = 'session-key'

const CORS_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/**
 * The checks of every request: CORS, load, rate limit, well-formed head, cross-site. Logs refusals. Hooks that need not
 * wait call `done`: a promise costs each request a microsecond.
 */
export async function protect (app: FastifyInstance, config: Config, countInProgress: () => number): Promise<void> {
  const { corsOrigins, rateLimitPerMinute, trustProxy } = config
  app.addHook('onError', async ({ id, ip, log }, _reply, error: Error) => {
    if (!(error instanceof Problem) || !REFUSALS.has(failures[error.code].status)) return
    log.info({ security: { kind: 'refused', code: error.code, network: networkOf(ip), requestId: id } }, 'refused')
  })
  if (trustProxy === undefined) warnOfProxy(app)
  if (corsOrigins !== undefined) {
    app.addHook('onSend', async (_request, reply) => varyByOrigin(reply))
    const { default: cors } = await import('@fastify/cors')
    const shared = {
      methods: CORS_METHODS,
      credentials: false,
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: 600,
      preflightContinue: true
    }
    await app.register(cors, () =>
      async (request: FastifyRequest) => ({
        ...shared,
        ...allowedHeaders(request),
        origin: isOfDrive(request) ? false : corsOrigins,
        preflight: isPreflight(request)
      }))
  }
  // After CORS, so that a page can read Retry-After; before anything that costs more.
  shedLoad(app, config, countInProgress)
  if (rateLimitPerMinute > 0) {
    const errorResponseBuilder = () => new Problem('too_many_requests')
    await app.register(rateLimit, {
      global: false,
      max: rateLimitPerMinute,
      timeWindow: 60_000,
      enableDraftSpec: true,
      errorResponseBuilder,
      // A password costs a hash, a token does not.
      allowList: ({ routeOptions, headers }) => isUploadState(routeOptions) && !hasPassword(headers)
    })
    // One hook for all routes, ahead of authentication: failed sign-ins count, and refused requests cost no hashing.
    app.addHook('onRequest', app.rateLimit())
  }
  app.addHook('onRequest', ({ raw, originalUrl }, _reply, done) => {
    refuseMalformed(raw, originalUrl)
    done()
  })
  if (corsOrigins !== undefined) {
    // The CORS plugin has added the headers. The answer is the same for paths that do not exist.
    app.addHook('onRequest', (request, reply, done) => {
      if (isPreflight(request)) void reply.code(204).send()
      else done()
    })
  }
  // Ahead of authentication: no password is verified for a cross-site request.
  refuseCrossSite(app, config)
}

/**
 * Refuses unsafe requests that a page of another site makes a browser send: the browser adds the password of its Basic
 * dialog, and the client's address, without asking. Browsers name the origin (Fetch Metadata, and RFC 6454 section 7);
 * other programs do not.
 */
function refuseCrossSite (app: FastifyInstance, { publicUrl, corsOrigins = [] }: Config): void {
  const allowed = new Set(corsOrigins)
  const own = publicUrl === undefined ? undefined : new URL(publicUrl).origin

  app.addHook('onRequest', (request, _reply, done) => {
    const { origin } = request.headers
    if (SAFE_METHODS.has(request.method) || (origin !== undefined && allowed.has(origin))) return done()
    // Without an Origin, Sec-Fetch-Site alone decides.
    const isOwn = origin === undefined || origin === own || origin === addressOf(request)
    if (isOwn && request.headers['sec-fetch-site'] !== 'cross-site') return done()
    const remedy =
      'If the page is yours, add its origin to CORS_ORIGINS, and set PUBLIC_URL to the address of the server.'
    throw new Problem('cross_site_request', { detail: `The request comes from a page of another site. ${remedy}` })
  })
}

/** The origin that the request was sent to; behind a trusted proxy, the proxy's. */
function addressOf ({ protocol, host }: FastifyRequest): string | undefined {
  return parseUrl(`${protocol}://${host}`)?.origin
}

/** Whether a request may have a password: the username of Basic can also be a token. */
function hasPassword ({ authorization }: IncomingHttpHeaders): boolean {
  return /^\s*basic\s/i.test(authorization ?? '')
}

/** Whether a request is for the drive, which no page of another origin may use. */
function isOfDrive ({ routeOptions, url }: FastifyRequest): boolean {
  return /^\/dav(?:[/?]|$)/.test(routeOptions.url ?? url)
}

/** A preflight asks for permission (Fetch Standard, CORS protocol). Any other OPTIONS request is one for the path. */
function isPreflight (request: FastifyRequest): boolean {
  const { method, headers } = request
  return method === 'OPTIONS' && !isOfDrive(request) && headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
}

/** A page of another origin may send all headers except the key of a session, which only pages of the server have. */
function allowedHeaders ({ headers }: FastifyRequest): { allowedHeaders?: string[] } {
  const asked = headers['access-control-request-headers']?.split(',').map(name => name.trim())
  return asked === undefined ? {} : { allowedHeaders: asked.filter(name => name.toLowerCase() !== SESSION_KEY) }
}

/** Refuses what Node accepts but another program could read differently. */
function refuseMalformed (request: IncomingMessage, url: string): void {
  // RFC 9112 section 3.2: exactly one Host; HTTP/1.0 may omit it.
  const { headers, httpVersion } = request
  const hosts = countFieldLines(request, 'host')
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) refuse('It must have exactly one Host field.', CLOSE)
  if (!AUTHORITY.test(headers.host ?? '')) refuse('Its host is not valid.', CLOSE)
  // RFC 9112 section 6.1: the bytes of any other coding would be stored as the file.
  const coding = headers['transfer-encoding']?.toLowerCase()
  if (coding !== undefined && httpVersion === '1.0') refuse('HTTP/1.0 has no Transfer-Encoding.', CLOSE)
  if (coding !== undefined && coding !== 'chunked') refuse('The only Transfer-Encoding is chunked.', CLOSE)
  // RFC 9112 section 3.2: a target has no fragment, and without its fragment this one would name another file.
  if (!isDecodable(url.replace(/[?#].*/, ''))) throw new Problem('malformed_url')
  if (url.includes('#')) refuse('A # in a URL must be written as %23.')
  if (!isDecodable(url)) refuse('The query has percent-encoded bytes that are not UTF-8.')
}

const CLOSE = { connection: 'close' }

function refuse (detail: string, headers: Record<string, string> = {}): never {
  throw new Problem('malformed_request', { detail, headers })
}

/** Whether percent-encoded bytes are UTF-8. */
export function isDecodable (text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** Headers of every response, unless its route sets others. The request id is also in the log. */
export function setSafeHeaders (request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  reply.headers({ 'x-content-type-options': 'nosniff', 'x-request-id': request.id, 'cache-control': 'no-store' })
  if (isOfLink(request.url)) reply.header('referrer-policy', 'no-referrer').header('x-robots-tag', 'noindex')
  if (request.protocol === 'https') reply.header('strict-transport-security', `max-age=${HSTS_SECONDS}`)
  done()
}

/**
 * Warns once if all of the first requests come from one private address that is not loopback, or that sends forwarding
 * headers: behind a proxy that TRUST_PROXY does not name, all clients count as one.
 */
function warnOfProxy (app: FastifyInstance): void {
  const addresses = new Set<string>()
  let seen = 0
  let isForwarded = false
  app.addHook('onRequest', ({ ip, headers, log }, _reply, done) => {
    if (seen >= PROXY_SAMPLE) return done()
    seen++
    addresses.add(ip)
    isForwarded ||= headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined
    if (seen === PROXY_SAMPLE && addresses.size === 1 && isPrivate(ip) && (isForwarded || !isLoopback(ip))) {
      log.warn(
        { address: ip },
        'every request comes from one private address: if it is a proxy, add it to TRUST_PROXY, or all clients share ' +
        'one rate limit'
      )
    }
    done()
  })
}

/** Adds Origin to the Vary header that a route may have set. */
function varyByOrigin (reply: FastifyReply): void {
  const vary = String(reply.getHeader('vary') ?? '')
  if (!/\borigin\b/i.test(vary)) reply.header('vary', vary === '' ? 'Origin' : `${vary}, Origin`)
}

/**
 * Refuses a password over plain HTTP from another machine, unless a trusted proxy says that the client used TLS.
 * @throws tls_required.
 */
export function refuseInsecurePassword (request: FastifyRequest, { passwordPolicy }: Config): void {
  if (passwordPolicy === 'open' || request.protocol === 'https' || isLoopback(request.ip)) return
  throw new Problem('tls_required')
}
