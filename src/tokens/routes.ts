import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { callerOf } from '../caller.ts'
import { problems } from '../http/problem-responses.ts'
import { AccessToken, Greeting } from './schemas.ts'
import type { Tokens } from './tokens.ts'

/** Where a password becomes a token: for the scope that takes passwords. */
export const signInRoutes: FastifyPluginAsyncTypebox<{ tokens: Tokens }> = async (app, { tokens }) => {
  app.get('/api/token', {
    schema: {
      operationId: 'getToken',
      summary: 'Trade the password for a token',
      description: 'Issues an access token. Only the password is taken: a token can\'t prolong its own life.',
      tags: ['Start here'],
      response: {
        200: { ...Type.Ref(AccessToken), description: 'The access token.' },
        ...problems(['credentials_missing', 'credentials_malformed', 'credentials_wrong', 'password_required'])
      }
    }
  }, async request => tokens.issue(callerOf(request).account))
}

/** For the scope that takes any credential. */
export const resourceRoutes: FastifyPluginAsyncTypebox = async app => {
  app.get('/api/resource', {
    schema: {
      operationId: 'getResource',
      summary: 'Try a credential',
      description: 'Greets whoever the credential belongs to.',
      tags: ['Start here'],
      response: {
        200: { ...Type.Ref(Greeting), description: 'The credential works.' },
        ...problems(['credentials_missing', 'credentials_malformed', 'credentials_wrong', 'token_malformed', 'token_expired', 'token_revoked'])
      }
    }
  }, async request => ({ data: `Hello, ${callerOf(request).account.username}!` }))
}
