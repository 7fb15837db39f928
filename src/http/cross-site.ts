import type { FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import { parseUrl } from './links.ts'
import { SAFE_METHODS } from './pipeline.ts'

interface OwnSites {
  /** Base of the server's links; undefined where the operator set none. */
  readonly publicUrl: string | undefined
  /** Origins whose pages may use the server. */
  readonly corsOrigins: string[] | undefined
}

/**
 * A check that refuses what the page of another site makes a browser send: the browser adds a password that was typed
 * into its Basic dialog, or a client's address, without asking anyone. Browsers say where a request comes from (Fetch
 * Metadata, and RFC 6454 section 7); programs that are no browser send neither field.
 */
export function createCrossSiteCheck ({ publicUrl, corsOrigins = [] }: OwnSites): (request: FastifyRequest) => void {
  const allowed = new Set(corsOrigins)
  const own = publicUrl === undefined ? undefined : new URL(publicUrl).origin

  return request => {
    const { origin } = request.headers
    if (SAFE_METHODS.has(request.method) || (origin !== undefined && allowed.has(origin))) return
    // A form without an Origin is told by the other field alone.
    const isOwn = origin === undefined || origin === own || origin === addressOf(request)
    if (isOwn && request.headers['sec-fetch-site'] !== 'cross-site') return
    throw new Problem('cross_site_request', { detail: 'A page of another site asked for it. If that page is yours, name its origin in CORS_ORIGINS, and the address of the server in PUBLIC_URL.' })
  }
}

/** The origin that the request was sent to; through a trusted proxy, the one that the proxy was asked for. */
function addressOf ({ protocol, host }: FastifyRequest): string | undefined {
  return parseUrl(`${protocol}://${host}`)?.origin
}
