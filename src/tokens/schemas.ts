import { Type } from '@sinclair/typebox'
import { Timestamp } from '../accounts/schemas.ts'
import { scopes, type Scope } from './scopes.ts'

export const AccessToken = Type.Object({
  token: Type.String({ description: 'A signed access token (JWT, RFC 7519) for `Authorization: Bearer`, `Token`, or as the username of Basic with anything as the password.', examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl'] }),
  duration: Type.Integer({ minimum: 1, description: 'How long it holds, in seconds.', examples: [600] })
}, { $id: 'AccessToken', additionalProperties: false, description: 'An access token and its life.' })

export const Greeting = Type.Object({
  data: Type.String({ description: 'A greeting by name.', examples: ['Hello, test_user!'] })
}, { $id: 'Greeting', additionalProperties: false, description: 'Proof that the credential works.' })

const Scopes = (description: string) => Type.Array(Type.Unsafe<Scope>({ type: 'string', enum: [...scopes] }), { uniqueItems: true, maxItems: scopes.length, description, examples: [['files:read']] })
const Moment = (description: string) => Type.Union([Timestamp, Type.Null()], { description })

const tokenFacts = {
  id: Type.Integer({ minimum: 1, description: 'Never used twice.', examples: [7] }),
  kind: Type.Unsafe<'access' | 'personal'>({ type: 'string', enum: ['access', 'personal'], description: 'Traded for a password or a personal token, or made to be kept.' }),
  name: Type.Union([Type.String(), Type.Null()], { description: 'What its owner calls it; null for an access token.' }),
  scopes: Scopes('What it may do.'),
  createdAt: Timestamp,
  expiresAt: Moment('When it ends; null for never.'),
  lastUsedAt: Moment('When it was used last, to the minute; null where it was not.')
}

export const Token = Type.Object(tokenFacts, { $id: 'Token', additionalProperties: false, description: 'A token that holds; its secret is not shown.' })

export const TokenList = Type.Object({
  tokens: Type.Array(Type.Ref(Token), { maxItems: 1000, description: 'The newest first.' }),
  next: Type.Union([Type.String(), Type.Null()], { description: 'The `cursor` of the next page; null on the last one.' })
}, { $id: 'TokenList', additionalProperties: false, description: 'A page of tokens.' })

export const NewToken = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 100, description: 'What to call it.', examples: ['backup script'] }),
  scopes: { ...Scopes('What it may do.'), minItems: 1 },
  expiresAt: Type.Optional(Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description: 'When it ends (RFC 3339); null or left out for never.', examples: ['2027-11-24T09:30:00Z'] }))
}, { $id: 'NewToken', additionalProperties: false, description: 'A personal access token to be made.' })

export const PersonalToken = Type.Object({
  ...tokenFacts,
  token: Type.String({ pattern: '^mst_[0-9A-Za-z]{36}$', description: 'The token itself: shown this once and stored only as a hash.', examples: ['mst_0123456789ABCDEFGHIJKLMNOPQRST2Jmbyv'] })
}, { $id: 'PersonalToken', additionalProperties: false, description: 'A new personal access token.' })

export const TokenParams = Type.Object({
  id: Type.String({ pattern: '^[1-9][0-9]{0,15}$', description: 'The id of the token.', examples: ['7'] })
})
