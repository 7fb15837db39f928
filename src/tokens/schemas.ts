import { Type } from '@sinclair/typebox'
import { Account, User } from '../accounts/schemas.ts'
import { NextId } from '../http/pagination.ts'
import {
  Id, Int32, NullableText, NullableTimestamp, ONE_LINE, OneOf, SharedObject, Text, Timestamp
} from '../http/wire-values.ts'
import { factors } from '../metadata/records.ts'
import { scopes } from './tokens.ts'
import { SECRET_PATTERN, SESSION_COOKIE } from './sessions.ts'

export const AccessToken = SharedObject('AccessToken', 'An access token and its lifetime.', {
  token: Text(
    'A signed JWT (RFC 7519). Send it in `Authorization: Bearer` or `Token`, or as the username of Basic with any ' +
    'password.',
    'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl',
    { maxLength: 1024, pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$' }
  ),
  duration: Int32('Lifetime in seconds.', 600, { minimum: 1, maximum: 86_400 })
})

export const Session = SharedObject('Session', 'An access token of a session.', {
  ...AccessToken.properties,
  username: User.properties.username,
  hasPassword: Account.properties.hasPassword,
  sessionId: Id('Id of the session in the list of tokens.', 21)
})

export const NewSession = SharedObject('NewSession', 'A new session, with its key and its first access token.', {
  ...Session.properties,
  key: Text(
    'The key of the session. It is returned only here. Keep it where only pages of your origin can read it, such as ' +
    'IndexedDB, and send it in `Session-Key`.',
    '0123456789abcdefghijklmnopqrstuvwxyzABCDEFG',
    { maxLength: 43, pattern: SECRET_PATTERN }
  )
})

export const SetCookie = (description: string) => ({
  'Set-Cookie': {
    type: 'string', maxLength: 4096, pattern: `^(?:__Host-)?${SESSION_COOKIE}=[A-Za-z0-9_-]*; `, description
  } as const
})

/** Headers of a response with a new session. */
export const newSessionHeaders = SetCookie(
  'The cookie of the session: `HttpOnly`, `SameSite=Strict`; over TLS `Secure`, with the prefix `__Host-`.'
)

export const Greeting = SharedObject('Greeting', 'Returned for valid credentials.', {
  data: Text(
    'A greeting with the username.',
    'Hello, test_user!',
    { maxLength: 128, pattern: '^Hello, [^\\u0000-\\u001f\\u007f-\\u009f]+!$' }
  )
})

const Scopes = (description: string) => Type.Array(
  OneOf(scopes),
  { uniqueItems: true, maxItems: scopes.length, description, examples: [['files:read']] }
)

const Program = (description: string, example: string) =>
  NullableText({
    maxLength: 64,
    pattern: ONE_LINE,
    description: `${description}; null if unknown and for other kinds.`,
    examples: [example]
  })

const tokenProperties = {
  id: Id('Id of the token; never reused.', 7),
  kind: OneOf(['access', 'personal', 'session'], {
    description: '`access` for a short-lived access token, `personal` for a personal access token, `session` for a ' +
      'session of a browser. More kinds may be added.',
    examples: ['personal']
  }),
  name: NullableText({
    maxLength: 100,
    pattern: ONE_LINE,
    description: 'Name given by the owner; null for an access token or a session.',
    examples: ['backup script']
  }),
  scopes: Scopes('Operations that the token allows.'),
  createdAt: Timestamp('Time of creation.'),
  expiresAt: NullableTimestamp(
    'Time of expiry (RFC 3339, UTC); null if it does not expire.', '2099-11-24T09:30:00.000Z'
  ),
  lastUsedAt: NullableTimestamp('Time of last use (RFC 3339, UTC), accurate to a minute; null if never used.', null),
  factors: Type.Array(OneOf(factors), {
    maxItems: factors.length,
    description: 'What you showed when the token, or the one that it was created with, was made. More factors may ' +
      'be added.',
    examples: [['password']]
  }),
  browser: Program('Browser that the session was created with', 'Firefox'),
  system: Program('Operating system of that browser', 'Linux')
}

export const Token = SharedObject('Token', 'An active token, without its secret.', tokenProperties)

export const TokenList = SharedObject('TokenList', 'A page of tokens.', {
  tokens: Type.Array(Type.Ref(Token), { maxItems: 1000, description: 'Newest first.' }),
  next: NextId
})

export const NewToken = SharedObject('NewToken', 'A personal access token to create.', {
  name: Text(
    'A name of your choice; no control characters.',
    'backup script',
    { minLength: 1, maxLength: 100, pattern: ONE_LINE }
  ),
  scopes: { ...Scopes('Operations that the token allows.'), minItems: 1 },
  expiresAt: Type.Optional(Type.Union([Type.String({ format: 'date-time', maxLength: 64 }), Type.Null()], {
    description: 'Time of expiry (RFC 3339, before the year 10000); null or omitted for no expiry.',
    examples: ['2099-11-24T09:30:00Z']
  }))
})

export const PersonalToken = SharedObject('PersonalToken', 'A new personal access token.', {
  ...tokenProperties,
  kind: OneOf(['personal'], { description: 'Always `personal`.', examples: ['personal'] }),
  browser: { ...tokenProperties.browser, examples: [null] },
  system: { ...tokenProperties.system, examples: [null] },
  token: Text(
    'The secret token. It is returned only here and stored as a hash.',
    'mst_0123456789ABCDEFGHIJKLMNOPQRST2Jmbyv',
    { maxLength: 40, pattern: '^mst_[0-9A-Za-z]{36}$' }
  )
})

/** Operations that use a new personal token (OpenAPI links). */
export const personalTokenLinks = {
  getToken: {
    operationId: 'getToken',
    description: 'Create an access token with the same scopes, authenticated by the personal token.'
  },
  deleteToken: {
    operationId: 'deleteToken', parameters: { id: '$response.body#/id' }, description: 'Revoke the token.'
  }
}

export const TokenParams = Type.Object({
  id: Id('The `id` of the token.', 7)
})

/** The shared schemas of the document, in its order. */
export const tokenSchemas = [
  AccessToken, Greeting, Token, TokenList, NewToken, PersonalToken, NewSession, Session
]
