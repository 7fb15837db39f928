import { Type } from '@sinclair/typebox'
import { NextId } from '../http/pagination.ts'
import { Id, NullableText, ONE_LINE, Timestamp } from '../http/wire-values.ts'
import { scopes, type Scope } from './scopes.ts'

export const AccessToken = Type.Object({
  token: Type.String({ maxLength: 1024, pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$', description: 'A signed access token (JWT, RFC 7519) for `Authorization: Bearer`, `Token`, or as the username of Basic with anything as the password.', examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl'] }),
  duration: Type.Integer({ format: 'int32', minimum: 1, maximum: 86_400, description: 'How long it holds, in seconds.', examples: [600] })
}, { $id: 'AccessToken', additionalProperties: false, description: 'An access token and its life.' })

export const Greeting = Type.Object({
  data: Type.String({ maxLength: 128, pattern: '^Hello, [^\\u0000-\\u001f\\u007f-\\u009f]+!$', description: 'A greeting by name.', examples: ['Hello, test_user!'] })
}, { $id: 'Greeting', additionalProperties: false, description: 'Proof that the credential works.' })

const Scopes = (description: string) => Type.Array(Type.Unsafe<Scope>({ type: 'string', enum: [...scopes] }), { uniqueItems: true, maxItems: scopes.length, description, examples: [['files:read']] })
const Moment = (description: string, example: string | null) => NullableText({ format: 'date-time', pattern: 'Z$', maxLength: 24, description, examples: [example] })

const tokenFacts = {
  id: Id('Never used twice.', 7),
  kind: Type.Unsafe<'access' | 'personal'>({ type: 'string', enum: ['access', 'personal'], description: 'Traded for a password or a personal token, or made to be kept.', examples: ['personal'] }),
  name: NullableText({ maxLength: 100, pattern: ONE_LINE, description: 'What its owner calls it; null for an access token.', examples: ['backup script'] }),
  scopes: Scopes('What it may do.'),
  createdAt: Timestamp('When it was issued.'),
  expiresAt: Moment('When it ends (RFC 3339, in UTC); null for never.', '2099-11-24T09:30:00.000Z'),
  lastUsedAt: Moment('When it was used last (RFC 3339, in UTC), to the minute; null where it was not.', null)
}

export const Token = Type.Object(tokenFacts, { $id: 'Token', additionalProperties: false, description: 'A token that holds; its secret is not shown.' })

export const TokenList = Type.Object({
  tokens: Type.Array(Type.Ref(Token), { maxItems: 1000, description: 'The newest first.' }),
  next: NextId
}, { $id: 'TokenList', additionalProperties: false, description: 'A page of tokens.' })

export const NewToken = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 100, pattern: ONE_LINE, description: 'What to call it; no control characters.', examples: ['backup script'] }),
  scopes: { ...Scopes('What it may do.'), minItems: 1 },
  expiresAt: Type.Optional(Type.Union([Type.String({ format: 'date-time', maxLength: 64 }), Type.Null()], { description: 'When it ends (RFC 3339, before the year 10000); null or left out for never.', examples: ['2099-11-24T09:30:00Z'] }))
}, { $id: 'NewToken', additionalProperties: false, description: 'A personal access token to be made.' })

export const PersonalToken = Type.Object({
  ...tokenFacts,
  token: Type.String({ maxLength: 40, pattern: '^mst_[0-9A-Za-z]{36}$', description: 'The token itself: shown this once and stored only as a hash.', examples: ['mst_0123456789ABCDEFGHIJKLMNOPQRST2Jmbyv'] })
}, { $id: 'PersonalToken', additionalProperties: false, description: 'A new personal access token.' })

/** What can be done next with a new personal token (OpenAPI links). */
export const personalTokenLinks = {
  getToken: { operationId: 'getToken', description: 'An access token with the same scopes, for the personal token as a credential.' },
  deleteToken: { operationId: 'deleteToken', parameters: { id: '$response.body#/id' }, description: 'The end of it.' }
}

export const TokenParams = Type.Object({
  id: Id('The `id` of the token.', 7)
})
