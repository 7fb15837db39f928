import { Type, type Static } from '@sinclair/typebox'
import { NextId } from '../http/pagination.ts'
import {
  Count, dateOf, ExactObject, Id, MAX_TEXT_POINTS, ONE_LINE, OneOf, SharedObject, Text, Timestamp
} from '../http/wire-values.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { eventKinds } from './events.ts'
import { MAX_USERNAME_POINTS } from './username.ts'

// Usernames and passwords are checked in code, with problem codes of their own: no pattern could say the rules.
export const NewUser = SharedObject('NewUser', 'A user to register.', {
  username: Text(
    'Case- and width-insensitive (RFC 8265 section 3.3). No colon, no control or invisible characters, no space at ' +
    'either end.',
    'test_user',
    { format: 'username', minLength: 1, maxLength: MAX_USERNAME_POINTS }
  ),
  password: Text(
    'At most 1,024 bytes of UTF-8. Compared exactly, after NFC normalisation.',
    'pwd',
    { format: 'password', minLength: 1, maxLength: MAX_TEXT_POINTS }
  )
})

export const User = SharedObject('User', 'The public profile of a user.', {
  id: Id('Id of the account; starts at 1, never reused.', 1),
  username: Text(
    'The username as registered.',
    'test_user',
    { minLength: 1, maxLength: MAX_USERNAME_POINTS, pattern: ONE_LINE }
  ),
  createdAt: Timestamp('Time of registration.')
})

/** A user as clients see it. */
export function userOf ({ id, username, createdAt }: AccountRecord): Static<typeof User> {
  return { id, username, createdAt: dateOf(createdAt) }
}

/** Headers of the response with a new user. */
export const userHeaders = {
  Location: {
    type: 'string',
    format: 'uri-reference',
    maxLength: 4096,
    pattern: '/api/users/[1-9][0-9]*$',
    description: 'Address of the user: absolute if PUBLIC_URL is set or the request\'s Host is the server\'s own ' +
      'address; otherwise a path.'
  }
} as const

/** Operations that use the response to a registration (OpenAPI links). */
export const registrationLinks = {
  getUser: {
    operationId: 'getUser', parameters: { id: '$response.body#/id' }, description: 'Get the public profile of the user.'
  },
  getToken: {
    operationId: 'getToken',
    description: 'Create an access token with the registered username and password (HTTP Basic).'
  }
}

export const UserParams = Type.Object({
  id: Id('The `id` of the user, as registration returned it.', 1)
})

const Quota = (description: string) => Type.Unsafe<number | null>({
  type: ['integer', 'null'],
  format: 'int64',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description,
  examples: [null]
})

export const Account = SharedObject('Account', 'Your account.', {
  ...User.properties,
  hasPassword: Type.Boolean({
    description: 'Whether the account has a password. One without is opened by its identity at a provider, and has ' +
      'no second factors.',
    examples: [true]
  }),
  usage: ExactObject('Storage used and allowed.', {
    files: Count('Number of stored files.', 3),
    folders: Count('Number of folders. They count towards the quota in files.', 0),
    bytes: Count('Total size of the stored files and of their thumbnails, in bytes.', 52417),
    keptBytes: Count(
      'Bytes of versions and trash, with the thumbnails that only these have. They count towards the quota. The ' +
      'oldest are deleted when an upload needs the space.',
      0
    ),
    uploadBytes: Count(
      'Bytes reserved for unfinished uploads; of those by links, the bytes that have arrived. They count towards ' +
      'the quota.',
      0
    ),
    quotaBytes: Quota('Quota in bytes; null if unlimited.'),
    quotaFiles: Quota('Quota in files, each folder and each unfinished upload counted as one; null if unlimited.')
  })
})

export const NewPassword = SharedObject('NewPassword', 'A new password.', {
  password: Text(
    'The new password. The rules are the same as at registration.',
    'a longer secret',
    { format: 'password', minLength: 1, maxLength: MAX_TEXT_POINTS }
  )
})

const claimSecret = Text(
  'The secret of the link, which follows `#claim=`.',
  'inv_abcdefghijklmnopqrstuvwxyz234567',
  { minLength: 1, maxLength: 64 }
)

export const ClaimSecret = SharedObject('ClaimSecret', 'An invitation or a reset.', { secret: claimSecret })

export const FoundClaim = SharedObject('FoundClaim', 'An invitation or a reset that can be used.', {
  kind: OneOf(['invitation', 'reset'], { description: 'What it is.', examples: ['invitation'] })
})

const CLAIM = 'The use of an invitation or a reset. `username` is required if the invitation is for no name.'

export const NewClaim = SharedObject('NewClaim', CLAIM, {
  secret: claimSecret,
  username: Type.Optional(NewUser.properties.username),
  password: NewUser.properties.password
})

export const AccountEvent = SharedObject('AccountEvent', 'A security event of the account.', {
  id: Id('Id of the event; later events have higher ids.', 17),
  kind: Text('Kind of event. More kinds may be added.', 'token_issued', { enum: [...eventKinds] }),
  network: Text(
    'Network of the client: an IPv4 address or an IPv6 /64; `operator` for a command of the operator.',
    '127.0.0.1',
    { maxLength: 43, pattern: '^(?:[0-9a-f.:]+(?:/64)?|operator|unknown)$' }
  ),
  requestId: Text(
    'Id of the request in the server log and in the `X-Request-Id` header of its response; `-` for a command.',
    '9b3a2a3e-6a0f-4c36-8f0e-2f1d3b5c7a90',
    { maxLength: 64, pattern: '^[A-Za-z0-9-]+$' }
  ),
  linkId: Type.Unsafe<number | null>({
    ...Id('Id of the link that the event is about; null for other events.', 4), type: ['integer', 'null']
  }),
  createdAt: Timestamp('Time of the event.')
})

export const AccountEventList = SharedObject('AccountEventList', 'A page of events.', {
  events: Type.Array(Type.Ref(AccountEvent), { maxItems: 1000, description: 'Newest first.' }),
  next: NextId
})

/** The shared schemas of the document, in its order. */
export const accountSchemas = [
  NewUser, User, Account, NewPassword, ClaimSecret, FoundClaim, NewClaim, AccountEvent, AccountEventList
]
