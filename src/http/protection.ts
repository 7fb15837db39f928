import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { getHeapStatistics } from 'node:v8'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isPrivate, networkOf } from '../accounts/network.ts'
import type { Config } from '../config.ts'
import { isLoopback } from '../config/loopback.ts'
import { failures, Problem } from '../problems.ts'
import { countFieldLines } from './caller.ts'
import { allowOrigins, answerPreflights } from './cors.ts'
import { parseUrl } from './links.ts'
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

/** Answered even under overload. */
export const LIVENESS_PATH = '/health/live'

const SAMPLE_MILLISECONDS = 1000

/** The delay is averaged over two seconds: a single stall that has already ended refuses nothing. */
const SAMPLES = 2

const RETRY_SECONDS = 3

/**
 * With so few requests in progress, of at most 2 MiB each on a disk and 20 MiB with a bucket, most memory above the
 * limit is garbage, which V8 collects only for further requests: a server that refused them all recovered after 100 s.
 */
const FEW_REQUESTS = 16

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
  if (corsOrigins !== undefined) await allowOrigins(app, corsOrigins)
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
  if (corsOrigins !== undefined) answerPreflights(app)
  // Ahead of authentication: no password is verified for a cross-site request.
  refuseCrossSite(app, config)
}

/**
 * Refuses new requests while the mean delay of the event loop or the memory in use is above its limit, of which 0 is
 * none; requests in progress complete. Not by `@fastify/under-pressure`: its histogram wakes an idle process 100 times
 * a second (6 ms of CPU time a second instead of 0.3), and it does not measure buffers, which MAX_MEMORY_BYTES limits.
 */
function shedLoad (
  app: FastifyInstance, { maxEventLoopDelayMilliseconds, maxMemoryBytes }: Config, countInProgress: () => number
): void {
  const delays = new Array<number>(SAMPLES).fill(0)
  let isLate = false
  let isFull = false
  let timer: NodeJS.Timeout | undefined

  // Not earlier: the first sample would include the start.
  app.addHook('onListen', async () => {
    timer = setInterval(() => {
      const began = performance.now()
      // Two immediates span one turn of the event loop, which is how long a new request waits.
      setImmediate(() => setImmediate(() => {
        delays.shift()
        delays.push(performance.now() - began)
        isLate = maxEventLoopDelayMilliseconds > 0 &&
          delays.reduce((sum, delay) => sum + delay) / SAMPLES > maxEventLoopDelayMilliseconds
        isFull = maxMemoryBytes > 0 && memoryInUse() > maxMemoryBytes
      }))
    }, SAMPLE_MILLISECONDS).unref()
  })
  app.addHook('onClose', async () => clearInterval(timer))
  app.addHook('onRequest', ({ routeOptions }, _reply, done) => {
    const isOverloaded = isLate || (isFull && countInProgress() > FEW_REQUESTS)
    const isRefused = isOverloaded && !isEssential(routeOptions)
    done(isRefused ? new Problem('overloaded', { retrySeconds: RETRY_SECONDS }) : undefined)
  })
}

/** A route: Fastify's own, or that of a request, which has none for an unknown path. */
interface RouteAddress { readonly method?: string | string[] | undefined, readonly url?: string | undefined }

/** Whether a request is answered under any load. */
export function isEssential (route: RouteAddress): boolean {
  // A supervisor that gets no answer from the liveness check would kill the process, and every transfer with it.
  return route.url === LIVENESS_PATH || isUploadState(route)
}

/** The paths of an upload: of an account, and by a link. */
const UPLOAD_PATHS = new Set<string | undefined>(['/api/uploads/:id', '/s/:secret/uploads/:id'])

/**
 * Asking for the offset of an upload, and the preflight before that. Clients take a refusal for the end of the upload
 * and begin again with the first byte (tus-js-client 4.3.1), which costs more than the answer.
 */
function isUploadState ({ method, url }: RouteAddress): boolean {
  return UPLOAD_PATHS.has(url) && (method === 'HEAD' || method === 'OPTIONS')
}

/**
 * Bytes in objects and buffers. Not the resident set, much of which the allocator never returns: 600 MB after 400
 * parallel uploads, 40 MB of it in use.
 */
function memoryInUse (): number {
  const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics()
  return objects + buffers
}

/**
 * Refuses unsafe requests, and those for compressed lists, that a page of another site makes a browser send: the
 * browser adds the password of its Basic dialog, and the client's address, without asking. Browsers name the origin
 * (Fetch Metadata, and RFC 6454 section 7); other programs do not.
 */
function refuseCrossSite (app: FastifyInstance, { publicUrl, corsOrigins = [] }: Config): void {
  const allowed = new Set(corsOrigins)
  const own = publicUrl === undefined ? undefined : new URL(publicUrl).origin

  app.addHook('onRequest', (request, _reply, done) => {
    const { headers: { origin, 'sec-fetch-site': site }, method, routeOptions: { config } } = request
    if (origin !== undefined && allowed.has(origin)) return done()
    const isCrossSite = site === 'cross-site'
    // The size of a compressed answer could tell another site what is in it.
    if (SAFE_METHODS.has(method) && !(isCrossSite && config?.isCompressed === true)) return done()
    // Without an Origin, Sec-Fetch-Site alone decides.
    const isOwn = origin === undefined || origin === own || origin === addressOf(request)
    if (isOwn && !isCrossSite) return done()
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
  // Over HTTP/2, Node reads other bytes as ISO 8859-1: `ü` would be stored as `Ã¼`.
  if (/[^!-~]/.test(url)) refuse('Its URL must be percent-encoded.')
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

/**
 * Refuses a password over plain HTTP from another machine, unless a trusted proxy says that the client used TLS.
 * @throws tls_required.
 */
export function refuseInsecurePassword (request: FastifyRequest, { passwordPolicy }: Config): void {
  if (passwordPolicy === 'open' || request.protocol === 'https' || isLoopback(request.ip)) return
  throw new Problem('tls_required')
}
