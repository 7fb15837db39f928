import { Type } from '@sinclair/typebox'
import { User } from '../accounts/schemas.ts'
import { Int32, OneOf, SharedObject, Text, Timestamp } from '../http/wire-values.ts'
import { NewToken, PersonalToken } from '../tokens/schemas.ts'
import { connectionScopes } from './connections.ts'

const scopes = Type.Array(OneOf(connectionScopes), {
  minItems: 1,
  uniqueItems: true,
  maxItems: connectionScopes.length,
  description: 'Operations that the token will allow. `account` can\'t be requested.',
  examples: [['files:read', 'files:write']]
})

const name = {
  ...NewToken.properties.name,
  description: 'What the program calls itself; no control characters. The token will have this name.',
  examples: ['sync on laptop']
}

const id = Text('Id of the connection.', '0123456789abcdefABCDEF', { maxLength: 22, pattern: '^[A-Za-z0-9_-]{22}$' })

const secret = Text(
  'The secret with which only this program picks up the token.',
  '0123456789abcdefghijklmnopqrstuvwxyzABCDEFG',
  { maxLength: 43, pattern: '^[A-Za-z0-9_-]{43}$' }
)

const userCode = Text(
  'Eight letters. Case, spaces and punctuation do not count.', 'WDJB-MJHT', { minLength: 1, maxLength: 32 }
)

const expiresAt = Timestamp('Until then it can be allowed, and its token be picked up.')

const network = (description: string) => Text(
  `${description}: an IPv4 address or an IPv6 /64.`, '127.0.0.1',
  { maxLength: 43, pattern: '^(?:[0-9a-f.:]+(?:/64)?|unknown)$' }
)

const Address = (description: string, example: string) => Type.String({
  format: 'uri-reference',
  maxLength: 4096,
  description: `${description} Absolute if PUBLIC_URL is set or the request's Host is the server's own address; ` +
    'otherwise a path.',
  examples: [example]
})

export const NewConnection = SharedObject('NewConnection', 'A connection that a program requests.', { name, scopes })

export const Connection = SharedObject('Connection', 'A connection that waits for permission.', {
  id,
  secret,
  userCode: { ...userCode, pattern: '^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$', maxLength: 9 },
  verificationUrl: Address(
    'The page on which a person types the code. Do not add the code to it.', 'http://127.0.0.1:5000/#account'
  ),
  expiresAt,
  interval: Int32('Seconds to wait between two requests for the token.', 3, { minimum: 1, maximum: 60 })
})

export const ConnectionCode = SharedObject('ConnectionCode', 'The code that a program shows.', { userCode })

export const FoundConnection = SharedObject('FoundConnection', 'What a program that shows a code wants.', {
  id,
  name,
  scopes,
  network: network('Network from which the program requested the connection'),
  ownNetwork: network('Network of this request'),
  expiresAt
})

export const ConnectionSecret = SharedObject('ConnectionSecret', 'The secret of a connection.', { secret })

export const ConnectedToken = SharedObject('ConnectedToken', 'The token of a connection.', {
  token: { ...PersonalToken.properties.token },
  username: User.properties.username,
  url: Address('Address of the server.', 'http://127.0.0.1:5000/')
})

export const ConnectionParams = Type.Object({ id })

/** Operations that use a new connection (OpenAPI links). */
export const connectionLinks = {
  createConnectionToken: {
    operationId: 'createConnectionToken',
    parameters: { id: '$response.body#/id' },
    description: 'Ask for the token, until the connection is allowed.'
  }
}

/** Operations that use a connection that was found. */
export const foundConnectionLinks = {
  allowConnection: {
    operationId: 'allowConnection', parameters: { id: '$response.body#/id' }, description: 'Allow the connection.'
  },
  refuseConnection: {
    operationId: 'refuseConnection', parameters: { id: '$response.body#/id' }, description: 'Refuse the connection.'
  }
}

/** The shared schemas of the document, in its order. */
export const connectionSchemas = [
  NewConnection, Connection, ConnectionCode, FoundConnection, ConnectionSecret, ConnectedToken
]
