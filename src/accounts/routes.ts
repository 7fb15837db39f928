import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { Links } from '../http/links.ts'
import type { AccountRecord } from '../metadata/metadata.ts'
import { problems } from '../http/problem-responses.ts'
import type { Accounts } from './accounts.ts'
import { NewUser, User, UserParams } from './schemas.ts'

interface UserRoutesOptions { accounts: Accounts, links: Links }

/** Registration, and the public face of a person. No credential is asked for. */
export const userRoutes: FastifyPluginAsyncTypebox<UserRoutesOptions> = async (app, { accounts, links }) => {
  app.post('/api/users', {
    schema: {
      operationId: 'registerUser',
      summary: 'Register',
      description: 'Adds a person. The password is hashed (argon2id) and the original discarded. Usernames that differ only in case or width are the same.',
      tags: ['Start here'],
      security: [{}] as { [scheme: string]: string[] }[],
      body: NewUser,
      response: {
        201: { ...Type.Ref(User), description: 'The new person.', headers: { Location: { type: 'string', format: 'uri-reference', description: 'Address of the person: an absolute URI where the request names the address the server listens on, or PUBLIC_URL is set; else a path.' } } },
        ...problems(['malformed_json', 'validation_failed', 'username_invalid', 'username_taken', 'password_invalid', 'registration_closed', 'body_too_large', 'unsupported_media_type'])
      }
    }
  }, async (request, reply) => {
    const account = await accounts.register(request.body)
    reply.code(201).header('location', links.to(request, `/api/users/${account.id}`))
    return userOf(account)
  })

  app.get('/api/users/:id', {
    schema: {
      operationId: 'getUser',
      summary: 'See a person',
      description: 'The public facts of a person. An unknown id is 400, as is one that is not an integer.',
      tags: ['People'],
      security: [{}] as { [scheme: string]: string[] }[],
      params: UserParams,
      response: {
        200: { ...Type.Ref(User), description: 'The person.' },
        ...problems(['user_unknown', 'validation_failed'])
      }
    }
  }, async request => userOf(await accounts.get(Number(request.params.id))))
}

function userOf ({ id, username, createdAt }: AccountRecord) {
  return { id, username, createdAt: new Date(createdAt).toISOString() }
}
