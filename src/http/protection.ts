import type { IncomingMessage } from 'node:http'
import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { isPrivate, networkOf } from '../accounts/network.ts'
import { isLoopback } from '../config.ts'
import { addFailures, answerHeaders } from '../openapi/responses.ts'
import { type FailureCode, failures, Problem } from '../problems.ts'
import { countFieldLines } from './caller.ts'
import { createCrossSiteCheck } from './cross-site.ts'
import { isEssential, shedLoad, type LoadLimits } from './load-shedding.ts'
import { SAFE_METHODS } from './pipeline.ts'

interface ProtectionOptions extends LoadLimits {
  corsOrigins: string[] | undefined
  /** 0 lifts the limit. */
  rateLimitPerMinute: number
  trustProxy: string[] | undefined
  publicUrl: string | undefined
  /** Requests that are not answered yet. */
  countInProgress: () => number
}

/** Statuses that say no to somebody. */
const REFUSALS = new Set<number>([401, 403, 429])

/** A year, in seconds: what browsers' preload lists ask for at the least. */
const HSTS_SECONDS = 31_536_000

/** Requests looked at before a proxy is suspected. */
const PROXY_SAMPLE = 100

/** Headers of answers that a page of another origin may read. */
const EXPOSED_HEADERS = ['ETag', 'Location', 'Link', 'Content-Range', 'Content-Disposition', 'Repr-Digest', 'Retry-After', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'X-Request-Id']

/** Sets up what holds for every request: one Host, CORS, the general rate limit, the shedding of load, no caching unless a route says so, and a log line for each refusal. */
export async function protect (app: FastifyInstance, { corsOrigins, rateLimitPerMinute, trustProxy, publicUrl, countInProgress, ...limits }: ProtectionOptions): Promise<void> {
  app.addHook('onRoute', route => {
    // An escape that is no UTF-8 matters only where a part of the address is read.
    const addressFailures: FailureCode[] = route.url.includes(':') ? ['malformed_url'] : []
    const loadFailures: FailureCode[] = isEssential(route) ? [] : ['overloaded']
    const siteFailures: FailureCode[] = SAFE_METHODS.has(String(route.method)) ? [] : ['cross_site_request']
    addFailures(route, [...addressFailures, 'malformed_request', 'stopping', 'too_many_requests', ...loadFailures, ...siteFailures])
    addAnswerHeaders(route)
  })
  app.addHook('onRequest', async ({ raw }) => refuseMalformed(raw))
  // Whoever is refused is in the log, also where no account is known.
  app.addHook('onError', async ({ id, ip, log }, _reply, error: Error) => {
    if (error instanceof Problem && REFUSALS.has(failures[error.code].status)) log.info({ security: { kind: 'refused', code: error.code, network: networkOf(ip), requestId: id } }, 'refused')
  })
  app.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    if (corsOrigins !== undefined) varyByOrigin(reply)
  })
  if (trustProxy === undefined) warnOfProxy(app)
  if (corsOrigins !== undefined) {
    await app.register(cors, { origin: corsOrigins, credentials: false, methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'], exposedHeaders: EXPOSED_HEADERS, maxAge: 600, strictPreflight: false })
  }
  // Behind CORS, so that a page can read when to come back; before what costs more.
  await shedLoad(app, limits, countInProgress)
  if (rateLimitPerMinute > 0) {
    await app.register(rateLimit, { global: false, max: rateLimitPerMinute, timeWindow: 60_000, enableDraftSpec: true, errorResponseBuilder: () => new Problem('too_many_requests') })
    // As a hook of its own, not of each route: a guard's refusals count, and what is one too many costs no hashing.
    app.addHook('onRequest', app.rateLimit())
  }
  // Ahead of every guard: no password is checked for such a request.
  const refuseCrossSite = createCrossSiteCheck({ publicUrl, corsOrigins })
  app.addHook('onRequest', async request => refuseCrossSite(request))
}

/** Refuses what Node lets pass, for others might read it in another way. */
function refuseMalformed (request: IncomingMessage): void {
  // RFC 9112 section 3.2: exactly one, which HTTP/1.0 may leave out.
  const hosts = countFieldLines(request, 'host')
  if (hosts > 1 || (hosts === 0 && request.httpVersion === '1.1')) refuse('It has not one Host.', { connection: 'close' })
  // Section 6.1: what another coding did to the body would be stored as the file.
  const coding = request.headers['transfer-encoding']
  if (coding !== undefined && request.httpVersion === '1.0') refuse('HTTP/1.0 has no Transfer-Encoding.', { connection: 'close' })
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') refuse('Its Transfer-Encoding is not chunked.', { connection: 'close' })
  // Section 3.2: a fragment is no part of it, and what is cut off there would lead to another file.
  const url = String(request.url)
  if (url.includes('#')) refuse('Its address holds a #, which is written %23.')
  const query = url.indexOf('?')
  if (query !== -1 && !isDecodable(url.slice(query))) refuse('Its address holds an escape that is no UTF-8.')
}

function refuse (detail: string, headers: Record<string, string> = {}): never {
  throw new Problem('malformed_request', { detail, headers })
}

function isDecodable (text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** Headers that every answer has; the id is how whoever asked finds the request in the log. */
export function setSafeHeaders (request: FastifyRequest, reply: FastifyReply): void {
  reply.header('x-content-type-options', 'nosniff').header('x-request-id', request.id)
  if (request.protocol === 'https') reply.header('strict-transport-security', `max-age=${HSTS_SECONDS}`)
}

function addAnswerHeaders (route: RouteOptions): void {
  if (route.schema === undefined || 'hide' in route.schema) return
  const responses = Object.entries(route.schema.response as Record<string, { headers?: object }>)
  route.schema.response = Object.fromEntries(responses.map(([status, response]) => [status, { ...response, headers: { ...response.headers, ...answerHeaders } }]))
}

/**
 * Warns once where the first requests all come from one private address that is not this machine's own, or that forwards
 * for others: behind a proxy which TRUST_PROXY does not name, everybody is counted as one.
 */
function warnOfProxy (app: FastifyInstance): void {
  const addresses = new Set<string>()
  let seen = 0
  let isForwarded = false
  app.addHook('onRequest', async ({ ip, headers, log }) => {
    if (seen >= PROXY_SAMPLE) return
    seen++
    addresses.add(ip)
    isForwarded ||= headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined
    if (seen === PROXY_SAMPLE && addresses.size === 1 && isPrivate(ip) && (isForwarded || !isLoopback(ip))) {
      log.warn({ address: ip }, 'every request comes from one private address: if that is a proxy, name it in TRUST_PROXY, or all clients count as one')
    }
  })
}

/** A route may have said already what else its answer varies by. */
function varyByOrigin (reply: FastifyReply): void {
  const vary = String(reply.getHeader('vary') ?? '')
  if (!/\borigin\b/i.test(vary)) reply.header('vary', vary === '' ? 'Origin' : `${vary}, Origin`)
}

/** What the settings say about how passwords may travel. */
export interface Transport { readonly passwordPolicy: 'open' | 'strict' }

/**
 * Refuses a password that crossed a network in the clear: over plain HTTP, from a client that is not on this machine,
 * where no trusted proxy says that the client spoke TLS with it.
 * @throws tls_required.
 */
export function refuseInsecurePassword (request: FastifyRequest, { passwordPolicy }: Transport): void {
  if (passwordPolicy === 'open' || request.protocol === 'https' || isLoopback(request.ip)) return
  throw new Problem('tls_required')
}
