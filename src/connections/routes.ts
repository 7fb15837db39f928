import { Type } from '@sinclair/typebox'
import { originOf } from '../accounts/network.ts'
import { callerOf, recordEvent } from '../http/caller.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { Routes } from '../http/services.ts'
import { dateOf } from '../http/wire-values.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { connectionScopes } from './connections.ts'
import {
  ConnectedToken, Connection, ConnectionCode, connectionLinks, ConnectionParams, ConnectionSecret, FoundConnection,
  foundConnectionLinks, NewConnection
} from './schemas.ts'

/** Seconds between two requests of a program that waits. */
const INTERVAL_SECONDS = 3

/** Where the page asks for the code. */
const PAGE_PATH = '/#account'

/** What the examples begin with. */
const REQUEST = 'curl -fsS -H "Content-Type: application/json" -d \'{"name":"a script","scopes":["files:read"]}\' ' +
  'http://127.0.0.1:5000/api/connections'

/** What programs do; no credentials required. */
export const programRoutes: Routes = async (app, { config, programConnections, links }) => {
  app.post('/api/connections', {
    onRequest: async request => refuseInsecurePassword(request, config),
    links: { 201: connectionLinks },
    schema: {
      operationId: 'createConnection',
      summary: 'Request a connection',
      description: 'For a program that needs a token: it shows `userCode` and `verificationUrl` to its user, who ' +
        'signs in there, types the code and allows the connection within ten minutes. A network has at most 20 open ' +
        'connections. Beyond 1,000 in all, the /48 or IPv4 /24 with most of them loses its newest.',
      curl: 'curl -f -H "Content-Type: application/json" -d \'{"name":"sync on laptop",' +
        '"scopes":["files:read","files:write"]}\' http://127.0.0.1:5000/api/connections',
      body: Type.Ref(NewConnection),
      response: {
        201: answer(Connection, 'The connection, which is not allowed yet.'),
        ...problems(['tls_required', 'too_many_connections', 'storage_full'])
      }
    }
  }, async (request, reply) => {
    const { expiresAt, ...connection } = await programConnections.request(request.body, request.ip)
    reply.code(201)
    return {
      ...connection,
      verificationUrl: links.to(request.raw, PAGE_PATH),
      expiresAt: dateOf(expiresAt),
      interval: INTERVAL_SECONDS
    }
  })

  app.post('/api/connections/:id/token', {
    onRequest: async request => refuseInsecurePassword(request, config),
    schema: {
      operationId: 'createConnectionToken',
      summary: 'Pick up the token of a connection',
      description: 'Answers 202 until the connection is allowed, then once with a personal access token of its name ' +
        'and scopes, which expires after 90 days. A connection that is unknown, refused or used, or has expired, is ' +
        'answered in one way, as is a wrong secret.',
      curl: [
        `connection=$(${REQUEST})`,
        `id=$(echo "$connection" | ${field('id')})`,
        `secret=$(echo "$connection" | ${field('secret')})`,
        'curl -f -H "Content-Type: application/json" -d "{\\"secret\\":\\"$secret\\"}" ' +
          '"http://127.0.0.1:5000/api/connections/$id/token"'
      ],
      params: ConnectionParams,
      body: Type.Ref(ConnectionSecret),
      response: {
        200: answer(ConnectedToken, 'The token. It is returned only here.'),
        202: noContent('The connection is not allowed yet.'),
        ...problems(['tls_required', 'not_found', 'too_many_tokens', 'storage_full'])
      }
    }
  }, async (request, reply) => {
    const { id } = request.params
    const picked = await programConnections.pickUp(id, request.body.secret, originOf(request))
    if (picked === undefined) return reply.code(202).send()
    return { token: picked.token, username: picked.account.username, url: links.to(request.raw, '/') }
  })
}

/** What an owner sees, and refuses. */
export const connectionRoutes: Routes = async (app, { metadata, programConnections, securityLog }) => {
  app.post('/api/connections/find', {
    links: { 200: foundConnectionLinks },
    schema: {
      operationId: 'findConnection',
      summary: 'Find a connection by its code',
      description: 'Shows what a program that shows this code asks for. Ask for the code itself: never take it from ' +
        'an address, which somebody else may have made. At most 10 wrong codes in 15 minutes.',
      curl: [
        requestAnd('code', 'userCode'),
        'curl -f -u test_user:pwd -H "Content-Type: application/json" -d "{\\"userCode\\":\\"$code\\"}" ' +
          'http://127.0.0.1:5000/api/connections/find'
      ],
      body: Type.Ref(ConnectionCode),
      response: {
        200: answer(FoundConnection, 'The connection.'),
        ...problems(['not_found', 'too_many_connection_codes', 'storage_full'])
      }
    }
  }, async request => {
    const origin = originOf(request)
    const { account } = callerOf(request)
    const { id, name, scopes, network, expiresAt } =
      await programConnections.find(account, request.body.userCode, origin)
    return {
      id,
      name,
      scopes: connectionScopes.filter(scope => scopes.split(' ').includes(scope)),
      network,
      ownNetwork: origin.network,
      expiresAt: dateOf(expiresAt)
    }
  })

  app.delete('/api/connections/:id', {
    schema: {
      operationId: 'refuseConnection',
      summary: 'Refuse a connection',
      description: 'Ends a connection that nobody has allowed, or that you have allowed and whose token was not ' +
        'picked up.',
      curl: [
        requestAnd('id', 'id'),
        'curl -f -u test_user:pwd -X DELETE "http://127.0.0.1:5000/api/connections/$id"'
      ],
      params: ConnectionParams,
      response: { 204: noContent('The connection is refused.'), ...problems(['not_found', 'storage_full']) }
    }
  }, async (request, reply) => {
    await metadata.connections.refuse(callerOf(request).account.id, request.params.id)
    recordEvent(securityLog, request, 'connection_refused')
    reply.code(204)
  })
}

/** Makes a credential: requires what `POST /api/tokens` requires. */
export const allowConnectionRoutes: Routes = async (app, { metadata, securityLog }) => {
  app.post('/api/connections/:id/allow', {
    schema: {
      operationId: 'allowConnection',
      summary: 'Allow a connection',
      description: 'The program that requested it can then pick up a token for your account, until the connection ' +
        'expires. Changing your password or revoking all tokens takes the permission back.',
      curl: [
        requestAnd('id', 'id'),
        'curl -f -u test_user:pwd -X POST "http://127.0.0.1:5000/api/connections/$id/allow"'
      ],
      params: ConnectionParams,
      response: { 204: noContent('The connection is allowed.'), ...problems(['not_found', 'storage_full']) }
    }
  }, async (request, reply) => {
    const { account, factors } = callerOf(request)
    await metadata.connections.allow(account, request.params.id, factors.join(' '))
    recordEvent(securityLog, request, 'connection_allowed')
    reply.code(204)
  })
}

/** A shell command that requests a connection and keeps a field of it in a variable. */
function requestAnd (variable: string, name: string): string {
  return `${variable}=$(${REQUEST} | ${field(name)})`
}

/** A shell command that prints a field of JSON. */
function field (name: string): string {
  return `sed 's/.*"${name}":"\\([^"]*\\)".*/\\1/'`
}
