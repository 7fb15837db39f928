import { Type } from '@sinclair/typebox'
import { originOf } from '../accounts/network.ts'
import { callerOf, recordEvent } from '../http/caller.ts'
import { nextPageOf, pageById, PageQuery } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import { dateOf, knownDateOf } from '../http/wire-values.ts'
import type { TokenRecord } from '../metadata/records.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { Problem } from '../problems.ts'
import {
  AccessToken, Greeting, NewToken, PersonalToken, personalTokenLinks, TokenList, TokenParams
} from './schemas.ts'
import { factorsOf, splitScopes } from './tokens.ts'

/** Creates access tokens; accepts a password or a personal access token. */
export const signInRoutes: Routes = async (app, { tokens, securityLog }) => {
  app.get('/api/token', {
    schema: {
      operationId: 'getToken',
      summary: 'Create an access token',
      description: [
        'Returns an access token for a password or a personal access token; in the second case, with that token\'s ' +
          'scopes and expiry.',
        'Access tokens are not accepted here: a token can\'t extend its own lifetime.',
        'An account has at most 10,000 tokens; beyond that, a new token replaces the oldest access token.'
      ].join(' '),
      curl: [
        'token=$(curl -fsS -u test_user:pwd http://127.0.0.1:5000/api/token | sed ' +
          '\'s/.*"token":"\\([^"]*\\)".*/\\1/\')',
        'curl -f -H "Authorization: Bearer $token" http://127.0.0.1:5000/api/resource'
      ],
      response: {
        200: answer(AccessToken, 'The new access token.'),
        ...problems(['too_many_tokens'])
      }
    }
  }, async request => {
    const caller = callerOf(request)
    const issued = await tokens.issue(caller, originOf(request), caller.token)
    recordEvent(securityLog, request, 'token_issued')
    return issued
  })
}

/** Routes that accept any credential. */
export const resourceRoutes: Routes = async (app, { metadata, tokens, securityLog }) => {
  app.get('/api/resource', {
    schema: {
      operationId: 'getResource',
      summary: 'Check your credentials',
      description: 'Greets the user that the credentials belong to.',
      curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/resource',
      response: { 200: answer(Greeting, 'The credentials are valid.') }
    }
  }, async request => ({ data: `Hello, ${callerOf(request).account.username}!` }))

  app.get('/api/tokens', {
    links: { 200: nextPageOf('listTokens') },
    schema: {
      operationId: 'listTokens',
      summary: 'List tokens',
      description: 'Lists your active tokens, newest first. The secret of a token is never returned.',
      curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/tokens',
      querystring: PageQuery,
      response: { 200: answer(TokenList, 'One page of tokens.') }
    }
  }, async request => {
    const { account } = callerOf(request)
    const { entries, next } = await pageById(request.query, page => metadata.tokens.list(account.id, page))
    return { tokens: entries.map(tokenOf), next }
  })

  app.delete('/api/token', {
    schema: {
      operationId: 'endToken',
      summary: 'Revoke the current token',
      description: 'Revokes the token that authenticates this request. The next request with it is refused.',
      curl: 'curl -f -H "Authorization: Bearer $token" -X DELETE http://127.0.0.1:5000/api/token',
      response: { 204: noContent('The token is revoked.'), ...problems(['token_needed']) }
    }
  }, async (request, reply) => {
    const { token } = callerOf(request)
    if (token === undefined) throw new Problem('token_needed')
    await tokens.revokeCurrent(token)
    recordEvent(securityLog, request, 'token_revoked')
    reply.code(204)
  })
}

/** Routes that require the password. */
export const personalTokenRoutes: Routes = async (app, { tokens, securityLog }) => {
  app.post('/api/tokens', {
    links: { 201: personalTokenLinks },
    schema: {
      operationId: 'createToken',
      summary: 'Create a personal access token',
      description: 'For scripts. The token is valid until it expires or is revoked, and allows only its scopes. It ' +
        'is shown only once.',
      curl: 'curl -f -u test_user:pwd -H "Content-Type: application/json" -d \'{"name":"backup ' +
        'script","scopes":["files:read"]}\' http://127.0.0.1:5000/api/tokens',
      body: Type.Ref(NewToken),
      response: {
        201: answer(PersonalToken, 'The new token.'),
        ...problems(['too_many_tokens'])
      }
    }
  }, async (request, reply) => {
    const { expiresAt = null, ...body } = request.body
    const newToken = { ...body, expiresAt: expiresAt === null ? null : Date.parse(expiresAt) }
    const issued = await tokens.issuePersonal(callerOf(request), originOf(request), newToken)
    recordEvent(securityLog, request, 'personal_token_created')
    reply.code(201)
    return { ...tokenOf(issued.record), kind: 'personal' as const, token: issued.token }
  })
}

/** Routes that need the scope `account`. */
export const revocationRoutes: Routes = async (app, { metadata, securityLog }) => {
  app.delete('/api/tokens/:id', {
    schema: {
      operationId: 'deleteToken',
      summary: 'Revoke a token',
      description: 'Revokes one token and all access tokens that were created with it.',
      curl: [
        'id=$(curl -fsS -u test_user:pwd -H "Content-Type: application/json" -d \'{"name":"for a ' +
          'day","scopes":["files:read"]}\' http://127.0.0.1:5000/api/tokens | sed \'s/.*"id":\\([0-9]*\\).*/\\1/\')',
        'curl -f -u test_user:pwd -X DELETE "http://127.0.0.1:5000/api/tokens/$id"'
      ],
      params: TokenParams,
      response: {
        204: noContent('The token is revoked.'),
        ...problems(['not_found'])
      }
    }
  }, async (request, reply) => {
    await metadata.tokens.remove(callerOf(request).account.id, request.params.id)
    recordEvent(securityLog, request, 'token_revoked')
    reply.code(204)
  })

  app.delete('/api/tokens', {
    schema: {
      operationId: 'deleteTokens',
      summary: 'Revoke all tokens',
      description: 'Revokes all access tokens and personal access tokens, including the one that authenticates ' +
        'this request.',
      curl: 'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/tokens',
      response: { 204: noContent('All tokens are revoked.') }
    }
  }, async (request, reply) => {
    await metadata.tokens.removeAll(callerOf(request).account.id)
    recordEvent(securityLog, request, 'tokens_revoked')
    reply.code(204)
  })
}

function tokenOf (token: TokenRecord) {
  const { id, kind, name, scopes, createdAt, expiresAt, lastUsedAt, browser, system } = token
  return {
    id,
    kind,
    name,
    scopes: splitScopes(scopes),
    createdAt: dateOf(createdAt),
    expiresAt: knownDateOf(expiresAt),
    lastUsedAt: knownDateOf(lastUsedAt),
    factors: factorsOf(token),
    browser,
    system
  }
}
