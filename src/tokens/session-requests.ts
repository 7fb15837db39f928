import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SecurityLog } from '../accounts/events.ts'
import { originOf } from '../accounts/network.ts'
import type { SignedIn } from '../accounts/sign-in.ts'
import { publicFolder } from '../http/links.ts'
import { SESSION_KEY } from '../http/protection.ts'
import type { AccessTokens } from './jwt.ts'
import { SESSION_COOKIE, SESSION_SECONDS, type Sessions, type SessionSecrets } from './sessions.ts'
import type { SessionClient } from './tokens.ts'

/** `publicUrl` is undefined if PUBLIC_URL is not set. */
interface SessionRequestsOptions {
  sessions: Sessions
  accessTokens: AccessTokens
  securityLog: SecurityLog
  publicUrl: string | undefined
}

export const SESSION_PATH = '/api/session'

/** Browsers accept a cookie of this name only over TLS and only from this host (RFC 6265bis section 4.1.3.2). */
const SECURE_COOKIE = `__Host-${SESSION_COOKIE}`

/** Longer than that of any browser. */
const MAX_USER_AGENT_LENGTH = 512

/** The sessions that requests begin, use and end. For Fastify scopes with `@fastify/cookie`. */
export class SessionRequests {
  readonly #options: SessionRequestsOptions

  constructor (options: SessionRequestsOptions) {
    this.#options = options
  }

  /**
   * Creates a session for the page that sends the request, in place of the one that it has, and sets the cookie.
   * Returns the body of the response. @throws as `Sessions.create`.
   */
  async begin (request: FastifyRequest, reply: FastifyReply, signedIn: SignedIn) {
    const { sessions, accessTokens, securityLog } = this.#options
    // A sign-in replaces the session of the browser (OWASP ASVS 5.0, V7.2.4).
    await this.end(request)
    const client = await clientOf(request)
    const { cookie, claims, ...session } = await sessions.create(signedIn, client, originOf(request))
    securityLog.record({ kind: 'session_created', account: signedIn.account, ...originOf(request) })
    reply.setCookie(cookieName(request), cookie, { ...this.#attributesFor(request), maxAge: SESSION_SECONDS })
    return { ...session, token: await accessTokens.sign(reply, claims) }
  }

  /** The session of the request with a new access token; undefined if it has none. @throws too_many_tokens. */
  async renew (request: FastifyRequest, reply: FastifyReply) {
    const renewed = await this.#options.sessions.renew(secretsOf(request), originOf(request))
    if (renewed === undefined) return undefined
    const { claims, ...session } = renewed
    return { ...session, token: await this.#options.accessTokens.sign(reply, claims) }
  }

  /** The id of the session that the request has; undefined if it has none. */
  findId (request: FastifyRequest): Promise<number | undefined> {
    return this.#options.sessions.findId(secretsOf(request))
  }

  /** Ends the session of the request, if it has one. */
  async end (request: FastifyRequest): Promise<void> {
    const { sessions, securityLog } = this.#options
    const account = await sessions.end(secretsOf(request))
    if (account !== undefined) securityLog.record({ kind: 'token_revoked', account, ...originOf(request) })
  }

  /** Deletes the cookie, if the request has one. */
  clearCookie (request: FastifyRequest, reply: FastifyReply): void {
    if (secretsOf(request).cookie !== undefined) reply.clearCookie(cookieName(request), this.#attributesFor(request))
  }

  /** The prefix `__Host-` requires the path `/`. Without TLS, browsers send the cookie only to these operations. */
  #attributesFor ({ protocol }: FastifyRequest): CookieSerializeOptions {
    const { publicUrl } = this.#options
    const shared = { httpOnly: true, sameSite: 'strict' } as const
    if (protocol === 'https') return { ...shared, secure: true, path: '/' }
    return { ...shared, path: publicFolder(publicUrl) + SESSION_PATH }
  }
}

function cookieName ({ protocol }: FastifyRequest): string {
  return protocol === 'https' ? SECURE_COOKIE : SESSION_COOKIE
}

function secretsOf (request: FastifyRequest): Partial<SessionSecrets> {
  const cookie = request.cookies[cookieName(request)]
  const key = request.headers[SESSION_KEY]?.toString()
  return { ...(cookie !== undefined && { cookie }), ...(key !== undefined && { key }) }
}

/** Browser and system by the header `User-Agent`; null for all that are not well known: the text could be anything. */
async function clientOf ({ headers: { 'user-agent': userAgent } }: FastifyRequest): Promise<SessionClient> {
  // Loaded on demand: few requests begin a session.
  const { default: bowser } = await import('bowser')
  // It refuses an empty text, and takes long for a long one.
  const { browser, os } = bowser.parse(userAgent?.slice(0, MAX_USER_AGENT_LENGTH) || '-')
  return { browser: knownName(bowser.BROWSER_MAP, browser.name), system: knownName(bowser.OS_MAP, os.name) }
}

function knownName (names: Record<string, string>, name: string | undefined): string | null {
  return Object.values(names).find(known => known === name) ?? null
}
