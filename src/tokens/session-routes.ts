import cookie from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../http/caller.ts'
import type { Routes } from '../http/services.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { Problem } from '../problems.ts'
import { NewSession, newSessionHeaders, Session, SetCookie } from './schemas.ts'
import { SESSION_PATH } from './sessions.ts'

/** The `security` of operations that read the cookie and the key. They work without a credential too. */
const sessionSecurity: { [scheme: string]: string[] }[] = [{ session: [], sessionKey: [] }, {}]

/** Creates sessions; requires the password. */
export const sessionSignInRoutes: Routes = async (app, { sessions }) => {
  await app.register(cookie)

  app.post(SESSION_PATH, {
    schema: {
      operationId: 'createSession',
      summary: 'Create a session',
      description: 'For pages in a browser: sets a cookie and returns a key. With both, `GET /api/session` returns ' +
        'access tokens for 30 days. No other operation reads the cookie, and scripts can\'t; the browser sends it ' +
        'to every port of the host, so it is of no use without the key. If the request has the cookie and the key ' +
        'of a session, that session ends. Programs use `GET /api/token`.',
      curl: 'curl -f -u test_user:pwd -c cookies.txt -X POST http://127.0.0.1:5000/api/session',
      response: {
        201: { ...answer(NewSession, 'The new session.'), headers: newSessionHeaders },
        ...problems(['too_many_tokens'])
      }
    }
  }, async (request, reply) => {
    reply.code(201)
    return sessions.begin(request, reply, callerOf(request))
  })
}

/** Renews and ends the session whose cookie and key a request has; no credentials required. */
export const sessionRoutes: Routes = async (app, { sessions }) => {
  await app.register(cookie)
  app.addHook('onRequest', async request => refuseOtherSites(request))

  const schema = {
    operationId: 'getSession',
    summary: 'Get an access token for the session',
    description: 'Returns a new access token if the request has the cookie and the key of a session; otherwise ' +
      '204. The token ends with the session. The cookie, the key and the expiry of the session do not change.',
    curl: 'curl -f -b cookies.txt -H "Session-Key: <key>" http://127.0.0.1:5000/api/session',
    security: sessionSecurity,
    response: {
      200: answer(Session, 'The session, with a new access token.'),
      204: noContent('There is no session, or it has ended.'),
      ...problems(['too_many_tokens', 'cross_site_request', 'storage_full'])
    }
  }
  async function renew (request: FastifyRequest, reply: FastifyReply) {
    return await sessions.renew(request) ?? reply.code(204).send()
  }
  // The cookie stays: meanwhile the browser may have that of a new session, which a late response would delete.
  app.get(SESSION_PATH, { schema, exposeHeadRoute: false }, renew)
  // Fastify's own answer to HEAD has a Content-Length with 204, which RFC 9110 section 8.6 forbids.
  app.head(SESSION_PATH, { schema: { ...schema, hide: true } }, renew)

  app.delete(SESSION_PATH, {
    schema: {
      operationId: 'deleteSession',
      summary: 'End the session',
      description: 'Revokes the session whose cookie and key the request has, with all its access tokens, and ' +
        'deletes the cookie. Without a session it only deletes the cookie.',
      curl: 'curl -f -b cookies.txt -c cookies.txt -H "Session-Key: <key>" -X DELETE http://127.0.0.1:5000/api/session',
      security: sessionSecurity,
      response: {
        204: {
          ...noContent('There is no session any more.'),
          headers: SetCookie('Deletes the cookie, if the request has one.')
        },
        ...problems(['cross_site_request', 'storage_full'])
      }
    }
  }, async (request, reply) => {
    await sessions.end(request)
    sessions.clearCookie(request, reply)
    reply.code(204)
  })
}

/** SameSite does not distinguish the ports of a host; Fetch Metadata does. Only browsers send it. */
function refuseOtherSites ({ headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return
  throw new Problem('cross_site_request', { detail: 'Only a page of this server can use its sessions.' })
}
