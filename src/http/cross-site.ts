import type { FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import { parseUrl } from './links.ts'
import { SAFE_METHODS } from './wire-values.ts'

interface OwnSites {
  /** PUBLIC_URL; undefined if not set. */
  readonly publicUrl: string | undefined
  /** CORS_ORIGINS; undefined if not set. */
  readonly corsOrigins: string[] | undefined
}

/**
 * Refuses unsafe requests that a page of another site makes a browser send: the browser adds the password of its Basic
 * dialog, and the client's address, without asking. Browsers name the origin (Fetch Metadata, and RFC 6454 section 7);
 * other programs do not.
 */
export function createCrossSiteCheck ({ publicUrl, corsOrigins = [] }: OwnSites): (request: FastifyRequest) => void {
  const allowed = new Set(corsOrigins)
  const own = publicUrl === undefined ? undefined : new URL(publicUrl).origin

  return request => {
    const { origin } = request.headers
    if (SAFE_METHODS.has(request.method) || (origin !== undefined && allowed.has(origin))) return
    // Without an Origin, Sec-Fetch-Site alone decides.
    const isOwn = origin === undefined || origin === own || origin === addressOf(request)
    if (isOwn && request.headers['sec-fetch-site'] !== 'cross-site') return
    const remedy = 'If the page is yours, add its origin to CORS_ORIGINS, and set PUBLIC_URL to the address of the server.'
    throw new Problem('cross_site_request', { detail: `The request comes from a page of another site. ${remedy}` })
  }
}

/** The origin that the request was sent to; behind a trusted proxy, the proxy's. */
function addressOf ({ protocol, host }: FastifyRequest): string | undefined {
  return parseUrl(`${protocol}://${host}`)?.origin
}
