import { fastifyCookie } from '@fastify/cookie'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { originOf } from '../accounts/network.ts'
import { countFieldLines, setVisit } from '../http/caller.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { LinkKind, OpenLink } from '../metadata/link-records.ts'
import { addFailures } from '../openapi/responses.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { hashOfSecret, SECRET_PATTERN } from './link-secrets.ts'

/** What the routes of a Fastify scope require: a kind of link, and the password, if the link has one. */
interface VisitRequirement {
  readonly kind?: LinkKind
  /** Default: true. */
  readonly needsPassword?: boolean
}

const SECRET = new RegExp(`^${SECRET_PATTERN}$`)

/** The name of the cookie that unlocks a link. */
export const LINK_COOKIE = 'magicstore_link'

/** Browsers accept a cookie of this name only over TLS (RFC 6265bis section 4.1.3.1). */
const SECURE_LINK_COOKIE = `__Secure-${LINK_COOKIE}`

/** The name that the cookie of a request has. */
export function linkCookieOf ({ protocol }: FastifyRequest): string {
  return protocol === 'https' ? SECURE_LINK_COOKIE : LINK_COOKIE
}

/**
 * Admits visitors to the routes of a Fastify scope, whose paths begin with `/s/:secret`, before the body is read. Links
 * that are unknown, malformed, expired, revoked or, once unlocked, of the other kind get the same 404.
 */
export function admitVisitors (
  scope: FastifyInstance,
  { config, metadata: { links }, linkPasswords }: AppServices,
  { kind, needsPassword = true }: VisitRequirement = {}
): void {
  scope.addHook('onRoute', route => {
    addFailures(route, [
      'not_found', 'link_password_wrong', 'tls_required', 'too_many_passwords', 'overloaded',
      ...(needsPassword ? ['link_password_required'] as const : [])
    ])
  })
  scope.addHook('onRequest', async request => {
    const found = await find(request)
    // First, so that the log says which link a refused request was for.
    setVisit(request, { ...found, isUnlocked: false })
    const isUnlocked = await unlocks(found, request)
    if (needsPassword && !isUnlocked) throw new Problem('link_password_required')
    // After the password, without which nobody is told what the link is for.
    if (kind !== undefined && found.link.kind !== kind) throw new Problem('not_found')
    setVisit(request, { ...found, isUnlocked })
  })

  /** @throws not_found. */
  async function find ({ params }: FastifyRequest): Promise<OpenLink> {
    const { secret } = params as { secret: string }
    const found = config.hasLinks && SECRET.test(secret) ? await links.findBySecret(hashOfSecret(secret)) : undefined
    if (found === undefined) throw new Problem('not_found')
    return found
  }

  /** Whether the request may use the link. @throws link_password_wrong. */
  async function unlocks (found: OpenLink, request: FastifyRequest): Promise<boolean> {
    const { link, now } = found
    if (link.passwordHash === null) return true
    // Not by the hooks of the plugin, which all downloads would pay for.
    const cookies = fastifyCookie.parse(request.headers.cookie ?? '')
    if (await linkPasswords.isUnlocked(link, cookies[linkCookieOf(request)], now)) return true
    const password = passwordOf(request)
    if (password === undefined) return false
    refuseInsecurePassword(request, config)
    await linkPasswords.verify(found, password, originOf(request))
    return true
  }
}

/**
 * The password in `Authorization: Basic`, with an empty username. Anything else there is ignored: browsers and programs
 * send what they have for the server.
 */
function passwordOf ({ headers: { authorization = '' }, raw }: FastifyRequest): string | undefined {
  const [, value] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization.trim()) ?? []
  if (value === undefined || countFieldLines(raw, 'authorization') !== 1) return undefined
  const text = Buffer.from(value, 'base64').toString()
  return text.startsWith(':') ? text.slice(1) : undefined
}
