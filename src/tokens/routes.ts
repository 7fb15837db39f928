import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { EventKind, SecurityLog } from '../accounts/events.ts'
import { networkOf } from '../accounts/network.ts'
import { cutPage, pageOf, PageQuery } from '../accounts/schemas.ts'
import { callerOf } from '../caller.ts'
import { Problem } from '../errors.ts'
import { problems } from '../http/problem-responses.ts'
import type { TokenRecord } from '../metadata/metadata.ts'
import { AccessToken, Greeting, NewToken, PersonalToken, TokenList, TokenParams } from './schemas.ts'
import { splitScopes } from './scopes.ts'
import type { Tokens } from './tokens.ts'

interface TokenRoutesOptions { tokens: Tokens, securityLog: SecurityLog }

/** Where a password or a personal token becomes an access token. */
export const signInRoutes: FastifyPluginAsyncTypebox<TokenRoutesOptions> = async (app, { tokens, securityLog }) => {
  app.get('/api/token', {
    schema: {
      operationId: 'getToken',
      summary: 'Trade the password for a token',
      description: 'Issues an access token for the password, or for a personal token, whose scopes and end it then has. An access token is not taken: a token can\'t prolong its own life.',
      tags: ['Start here'],
      response: { 200: { ...Type.Ref(AccessToken), description: 'The access token.' }, ...problems(['storage_full']) }
    }
  }, async request => {
    const { account, token } = callerOf(request)
    const issued = await tokens.issue(account, token)
    record(securityLog, request, 'token_issued')
    return issued
  })
}

/** For the scope that takes any credential. */
export const resourceRoutes: FastifyPluginAsyncTypebox<TokenRoutesOptions> = async (app, { tokens, securityLog }) => {
  app.get('/api/resource', {
    schema: {
      operationId: 'getResource',
      summary: 'Try a credential',
      description: 'Greets whoever the credential belongs to.',
      tags: ['Start here'],
      response: { 200: { ...Type.Ref(Greeting), description: 'The credential works.' } }
    }
  }, async request => ({ data: `Hello, ${callerOf(request).account.username}!` }))

  app.get('/api/tokens', {
    schema: {
      operationId: 'listTokens',
      summary: 'List tokens',
      description: 'The tokens that hold now, the newest first; never their secrets.',
      tags: ['People'],
      querystring: PageQuery,
      response: { 200: { ...Type.Ref(TokenList), description: 'A page.' }, ...problems(['validation_failed']) }
    }
  }, async request => {
    const page = pageOf(request.query)
    const { entries, next } = cutPage(await tokens.list(callerOf(request).account.id, page), page)
    return { tokens: entries.map(tokenOf), next }
  })

  app.delete('/api/token', {
    schema: {
      operationId: 'endToken',
      summary: 'End the token that is presented',
      description: 'Signs out: the token that is the credential of this request is refused from the next one on.',
      tags: ['People'],
      response: { 204: { description: 'The token has ended.', type: 'null' }, ...problems(['token_needed', 'storage_full']) }
    }
  }, async (request, reply) => {
    const { account, token } = callerOf(request)
    if (token === undefined) throw new Problem('token_needed')
    await tokens.revoke(account.id, token.id)
    record(securityLog, request, 'token_revoked')
    return reply.code(204).send()
  })
}

/** For the scope that only the password opens. */
export const personalTokenRoutes: FastifyPluginAsyncTypebox<TokenRoutesOptions> = async (app, { tokens, securityLog }) => {
  app.post('/api/tokens', {
    schema: {
      operationId: 'createToken',
      summary: 'Make a personal access token',
      description: 'For a script: it holds until it expires or is ended, and may do what its scopes say. It is shown this once.',
      tags: ['People'],
      body: Type.Ref(NewToken),
      response: {
        201: { ...Type.Ref(PersonalToken), description: 'The token.' },
        ...problems(['malformed_json', 'validation_failed', 'body_too_large', 'unsupported_media_type', 'storage_full'])
      }
    }
  }, async (request, reply) => {
    const { name, scopes, expiresAt = null } = request.body
    const { token, record: made } = await tokens.issuePersonal(callerOf(request).account, { name, scopes, expiresAt: expiresAt === null ? null : Date.parse(expiresAt) })
    record(securityLog, request, 'personal_token_created')
    reply.code(201)
    return { ...tokenOf(made), token }
  })
}

/** For the scope of credentials that may look after the account. */
export const revocationRoutes: FastifyPluginAsyncTypebox<TokenRoutesOptions> = async (app, { tokens, securityLog }) => {
  app.delete('/api/tokens/:id', {
    schema: {
      operationId: 'deleteToken',
      summary: 'End a token',
      description: 'With it end the access tokens that were issued for it.',
      tags: ['People'],
      params: TokenParams,
      response: { 204: { description: 'The token has ended.', type: 'null' }, ...problems(['validation_failed', 'not_found', 'storage_full']) }
    }
  }, async (request, reply) => {
    await tokens.revoke(callerOf(request).account.id, Number(request.params.id))
    record(securityLog, request, 'token_revoked')
    return reply.code(204).send()
  })

  app.delete('/api/tokens', {
    schema: {
      operationId: 'deleteTokens',
      summary: 'End all tokens',
      description: 'Access tokens and personal ones, the one that is presented among them.',
      tags: ['People'],
      response: { 204: { description: 'Every token has ended.', type: 'null' }, ...problems(['storage_full']) }
    }
  }, async (request, reply) => {
    await tokens.revokeAll(callerOf(request).account.id)
    record(securityLog, request, 'tokens_revoked')
    return reply.code(204).send()
  })
}

function record (securityLog: SecurityLog, request: FastifyRequest, kind: EventKind): void {
  securityLog.record({ kind, accountId: callerOf(request).account.id, network: networkOf(request.ip), requestId: request.id })
}

function tokenOf ({ id, kind, name, scopes, createdAt, expiresAt, lastUsedAt }: TokenRecord) {
  return { id, kind, name, scopes: splitScopes(scopes), createdAt: timeOf(createdAt), expiresAt: expiresAt === null ? null : timeOf(expiresAt), lastUsedAt: lastUsedAt === null ? null : timeOf(lastUsedAt) }
}

function timeOf (milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
