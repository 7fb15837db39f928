import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SecurityLog } from '../accounts/events.ts'
import { originOf } from '../accounts/network.ts'
import { callerOf } from '../http/caller.ts'
import { cookie } from '../http/plugins.ts'
import { SESSION_KEY } from '../http/protection.ts'
import { ignoreBodies } from '../http/schema-compilers.ts'
import { codeSamples } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import { Problem } from '../problems.ts'
import type { AccessTokens } from './jwt.ts'
import { NewSession, Session } from './schemas.ts'
import { SESSION_SECONDS, type Sessions, type SessionSecrets } from './sessions.ts'

/** `publicUrl` is undefined if PUBLIC_URL is not set. */
interface SessionRoutesOptions {
  sessions: Sessions
  accessTokens: AccessTokens
  securityLog: SecurityLog
  publicUrl: string | undefined
}

const PATH = '/api/session'

/** The name without TLS, and in the document. */
const COOKIE = 'magicstore_session'

/** Browsers accept a cookie of this name only over TLS and only from this host (RFC 6265bis section 4.1.3.2). */
const SECURE_COOKIE = `__Host-${COOKIE}`

/** The `security` of operations that read the cookie and the key. They work without a credential too. */
const sessionSecurity: { [scheme: string]: string[] }[] = [{ session: [], sessionKey: [] }, {}]

const SetCookie = (description: string) => ({
  'Set-Cookie': { type: 'string', maxLength: 4096, pattern: `^(?:__Host-)?${COOKIE}=[A-Za-z0-9_-]*; `, description } as const
})

/** Creates sessions; requires the password. */
export const sessionSignInRoutes: FastifyPluginAsyncTypebox<SessionRoutesOptions> = async (
  app, { sessions, accessTokens, securityLog, publicUrl }
) => {
  await app.register(cookie)
  ignoreBodies(app)

  app.post(PATH, {
    schema: {
      operationId: 'createSession',
      summary: 'Create a session',
      description: 'For pages in a browser: sets a cookie and returns a key. With both, `GET /api/session` returns access tokens for 30 days. No other operation reads the cookie, and scripts can\'t; the browser sends it to every port of the host, so it is of no use without the key. If the request has the cookie and the key of a session, that session ends. Programs use `GET /api/token`.',
      ...codeSamples('curl -f -u test_user:pwd -c cookies.txt -X POST http://127.0.0.1:5000/api/session'),
      tags: ['Tokens'],
      response: {
        201: {
          ...Type.Ref(NewSession),
          description: 'The new session.',
          headers: SetCookie('The cookie of the session: `HttpOnly`, `SameSite=Strict`; over TLS `Secure`, with the prefix `__Host-`.')
        },
        ...problems(['too_many_tokens', 'storage_full'])
      }
    }
  }, async (request, reply) => {
    const { account } = callerOf(request)
    // A sign-in replaces the session of the browser (OWASP ASVS 5.0, V7.2.4).
    await endSession(request, { sessions, securityLog })
    const { cookie, claims, ...session } = await sessions.create(account, originOf(request))
    securityLog.record({ kind: 'session_created', account, ...originOf(request) })
    reply.code(201)
      .setCookie(cookieName(request), cookie, { ...attributesFor(request, publicUrl), maxAge: SESSION_SECONDS })
    return { ...session, token: await accessTokens.sign(reply, claims) }
  })
}

/** Renews and ends the session whose cookie and key a request has; no credentials required. */
export const sessionRoutes: FastifyPluginAsyncTypebox<SessionRoutesOptions> = async (
  app, { sessions, accessTokens, securityLog, publicUrl }
) => {
  await app.register(cookie)
  app.addHook('onRequest', async request => refuseOtherSites(request))

  const schema = {
    operationId: 'getSession',
    summary: 'Get an access token for the session',
    description: 'Returns a new access token if the request has the cookie and the key of a session; otherwise 204. The token ends with the session. The cookie, the key and the expiry of the session do not change.',
    ...codeSamples('curl -f -b cookies.txt -H "Session-Key: <key>" http://127.0.0.1:5000/api/session'),
    tags: ['Tokens'],
    security: sessionSecurity,
    response: {
      200: { ...Type.Ref(Session), description: 'The session, with a new access token.' },
      204: { description: 'There is no session, or it has ended.', type: 'null' },
      ...problems(['too_many_tokens', 'cross_site_request', 'storage_full'])
    }
  }
  async function renew (request: FastifyRequest, reply: FastifyReply) {
    const renewed = await sessions.renew(secretsOf(request), originOf(request))
    if (renewed === undefined) return reply.code(204).send()
    const { claims, ...session } = renewed
    return { ...session, token: await accessTokens.sign(reply, claims) }
  }
  // The cookie stays: meanwhile the browser may have that of a new session, which a late response would delete.
  app.get(PATH, { schema, exposeHeadRoute: false }, renew)
  // Fastify's own answer to HEAD has a Content-Length with 204, which RFC 9110 section 8.6 forbids.
  app.head(PATH, { schema: { ...schema, hide: true } }, renew)

  app.delete(PATH, {
    schema: {
      operationId: 'deleteSession',
      summary: 'End the session',
      description: 'Revokes the session whose cookie and key the request has, with all its access tokens, and deletes the cookie. Without a session it only deletes the cookie.',
      ...codeSamples('curl -f -b cookies.txt -c cookies.txt -H "Session-Key: <key>" -X DELETE http://127.0.0.1:5000/api/session'),
      tags: ['Tokens'],
      security: sessionSecurity,
      response: {
        204: { description: 'There is no session any more.', type: 'null', headers: SetCookie('Deletes the cookie, if the request has one.') },
        ...problems(['cross_site_request', 'storage_full'])
      }
    }
  }, async (request, reply) => {
    await endSession(request, { sessions, securityLog })
    if (secretsOf(request).cookie !== undefined) {
      reply.clearCookie(cookieName(request), attributesFor(request, publicUrl))
    }
    return reply.code(204).send()
  })
}

type Ending = Pick<SessionRoutesOptions, 'sessions' | 'securityLog'>

/** Ends the session of a request, if it has one. */
async function endSession (request: FastifyRequest, { sessions, securityLog }: Ending): Promise<void> {
  const account = await sessions.end(secretsOf(request))
  if (account !== undefined) securityLog.record({ kind: 'token_revoked', account, ...originOf(request) })
}

/** SameSite does not distinguish the ports of a host; Fetch Metadata does. Only browsers send it. */
function refuseOtherSites ({ headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return
  throw new Problem('cross_site_request', { detail: 'Only a page of this server can use its sessions.' })
}

function cookieName ({ protocol }: FastifyRequest): string {
  return protocol === 'https' ? SECURE_COOKIE : COOKIE
}

function secretsOf (request: FastifyRequest): Partial<SessionSecrets> {
  const cookie = request.cookies[cookieName(request)]
  const key = request.headers[SESSION_KEY]?.toString()
  return { ...(cookie !== undefined && { cookie }), ...(key !== undefined && { key }) }
}

/** The prefix `__Host-` requires the path `/`. Without TLS, browsers send the cookie only to these operations. */
function attributesFor ({ protocol }: FastifyRequest, publicUrl: string | undefined): CookieSerializeOptions {
  const shared = { httpOnly: true, sameSite: 'strict' } as const
  if (protocol === 'https') return { ...shared, secure: true, path: '/' }
  const folder = publicUrl === undefined ? '' : new URL(publicUrl).pathname.replace(/\/$/, '')
  return { ...shared, path: folder + PATH }
}
