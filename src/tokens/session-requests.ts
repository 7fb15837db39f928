import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { originOf } from '../accounts/network.ts'
import type { SignedIn } from '../accounts/sign-in.ts'
import { publicFolder } from '../http/links.ts'
import { SESSION_KEY } from '../http/protection.ts'
import type { AppServices } from '../services.ts'
import { SESSION_COOKIE, SESSION_SECONDS, createSessions, type SessionSecrets } from './sessions.ts'
import type { SessionClient } from './tokens.ts'

export const SESSION_PATH = '/api/session'

/** Browsers accept a cookie of this name only over TLS and only from this host (RFC 6265bis section 4.1.3.2). */
const SECURE_COOKIE = `__Host-${SESSION_COOKIE}`

/** Longer than that of any browser. */
const MAX_USER_AGENT_LENGTH = 512

export type SessionRequests = ReturnType<typeof createSessionRequests>

/** The sessions that requests begin, use and end. For Fastify scopes with `@fastify/cookie`. */
export function createSessionRequests (
  { config, metadata, securityLog, tokens }: Pick<AppServices, 'config' | 'metadata' | 'securityLog' | 'tokens'>
) {
  const sessions = createSessions({ metadata, tokens })

  /** Ends the session of the request, if it has one. */
  async function end (request: FastifyRequest): Promise<void> {
    const account = await sessions.end(secretsOf(request))
    if (account !== undefined) securityLog.record({ kind: 'token_revoked', account, ...originOf(request) })
  }

  /** The prefix `__Host-` requires the path `/`. Without TLS, browsers send the cookie only to these operations. */
  function attributesFor ({ protocol }: FastifyRequest): CookieSerializeOptions {
    const { publicUrl } = config
    const shared = { httpOnly: true, sameSite: 'strict' } as const
    if (protocol === 'https') return { ...shared, secure: true, path: '/' }
    return { ...shared, path: publicFolder(publicUrl) + SESSION_PATH }
  }

  return {
    /**
     * Creates a session for the page that sends the request, in place of the one that it has, and sets the cookie.
     * Returns the body of the response. @throws as `Sessions.create`.
     */
    async begin (request: FastifyRequest, reply: FastifyReply, signedIn: SignedIn) {
      // A sign-in replaces the session of the browser (OWASP ASVS 5.0, V7.2.4).
      await end(request)
      const client = await clientOf(request)
      const { cookie, ...session } = await sessions.create(signedIn, client, originOf(request))
      securityLog.record({ kind: 'session_created', account: signedIn.account, ...originOf(request) })
      reply.setCookie(cookieName(request), cookie, { ...attributesFor(request), maxAge: SESSION_SECONDS })
      return session
    },

    /** The session of the request with a new access token; undefined if it has none. @throws too_many_tokens. */
    renew (request: FastifyRequest) {
      return sessions.renew(secretsOf(request), originOf(request))
    },

    /** The id of the session that the request has; undefined if it has none. */
    findId (request: FastifyRequest): Promise<number | undefined> {
      return sessions.findId(secretsOf(request))
    },
    end,

    /** Deletes the cookie, if the request has one. */
    clearCookie (request: FastifyRequest, reply: FastifyReply): void {
      if (secretsOf(request).cookie !== undefined) reply.clearCookie(cookieName(request), attributesFor(request))
    }
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
