import { Type, type Static } from '@sinclair/typebox'
import { NextId } from '../http/pagination.ts'
import { Count, dateOf, ExactObject, Id, MAX_TEXT_POINTS, ONE_LINE, SharedObject, Timestamp } from '../http/wire-values.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { eventKinds } from './events.ts'
import { MAX_USERNAME_POINTS } from './username.ts'

// Usernames and passwords are checked in code, with problem codes of their own: no pattern could say the rules.
export const NewUser = SharedObject('NewUser', 'A user to register.', {
  username: Type.String({
    format: 'username',
    minLength: 1,
    maxLength: MAX_USERNAME_POINTS,
    description: 'Case- and width-insensitive (RFC 8265 section 3.3). No colon, no control or invisible characters, no space at either end.',
    examples: ['test_user']
  }),
  password: Type.String({
    format: 'password',
    minLength: 1,
    maxLength: MAX_TEXT_POINTS,
    description: 'At most 1,024 bytes of UTF-8. Compared exactly, after NFC normalisation.',
    examples: ['pwd']
  })
})

export const User = SharedObject('User', 'The public profile of a user.', {
  id: Id('Id of the account; starts at 1, never reused.', 1),
  username: Type.String({
    minLength: 1,
    maxLength: MAX_USERNAME_POINTS,
    pattern: ONE_LINE,
    description: 'The username as registered.',
    examples: ['test_user']
  }),
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
    description: 'Address of the user: absolute if PUBLIC_URL is set or the request\'s Host is the server\'s own address; otherwise a path.'
  }
} as const

/** Operations that use the response to a registration (OpenAPI links). */
export const registrationLinks = {
  getUser: { operationId: 'getUser', parameters: { id: '$response.body#/id' }, description: 'Get the public profile of the user.' },
  getToken: { operationId: 'getToken', description: 'Create an access token with the registered username and password (HTTP Basic).' }
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
  usage: ExactObject('Storage used and allowed.', {
    files: Count('Number of stored files.', 3),
    folders: Count('Number of folders. They count towards the quota in files.', 0),
    bytes: Count('Total size of the stored files, in bytes.', 52417),
    keptBytes: Count('Bytes of versions and trash. They count towards the quota. The oldest are deleted when an upload needs the space.', 0),
    uploadBytes: Count('Bytes reserved for unfinished uploads; of those by links, the bytes that have arrived. They count towards the quota.', 0),
    quotaBytes: Quota('Quota in bytes; null if unlimited.'),
    quotaFiles: Quota('Quota in files, each folder and each unfinished upload counted as one; null if unlimited.')
  })
})

export const NewPassword = SharedObject('NewPassword', 'A new password.', {
  password: Type.String({
    format: 'password',
    minLength: 1,
    maxLength: MAX_TEXT_POINTS,
    description: 'The new password. The rules are the same as at registration.',
    examples: ['a longer secret']
  })
})

const claimSecret = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'The secret of the link, which follows `#claim=`.',
  examples: ['inv_abcdefghijklmnopqrstuvwxyz234567']
})

export const ClaimSecret = SharedObject('ClaimSecret', 'An invitation or a reset.', { secret: claimSecret })

export const FoundClaim = SharedObject('FoundClaim', 'An invitation or a reset that can be used.', {
  kind: Type.Unsafe<'invitation' | 'reset'>({
    type: 'string', enum: ['invitation', 'reset'], description: 'What it is.', examples: ['invitation']
  })
})

export const NewClaim = SharedObject('NewClaim', 'The use of an invitation or a reset. `username` is required if the invitation is for no name.', {
  secret: claimSecret,
  username: Type.Optional(NewUser.properties.username),
  password: NewUser.properties.password
})

export const AccountEvent = SharedObject('AccountEvent', 'A security event of the account.', {
  id: Id('Id of the event; later events have higher ids.', 17),
  kind: Type.String({ enum: [...eventKinds], description: 'Kind of event. More kinds may be added.', examples: ['token_issued'] }),
  network: Type.String({
    maxLength: 43,
    pattern: '^(?:[0-9a-f.:]+(?:/64)?|operator|unknown)$',
    description: 'Network of the client: an IPv4 address or an IPv6 /64; `operator` for a command of the operator.',
    examples: ['127.0.0.1']
  }),
  requestId: Type.String({
    maxLength: 64,
    pattern: '^[A-Za-z0-9-]+$',
    description: 'Id of the request in the server log and in the `X-Request-Id` header of its response; `-` for a command.',
    examples: ['9b3a2a3e-6a0f-4c36-8f0e-2f1d3b5c7a90']
  }),
  linkId: Type.Unsafe<number | null>({ ...Id('Id of the link that the event is about; null for other events.', 4), type: ['integer', 'null'] }),
  createdAt: Timestamp('Time of the event.')
})

export const AccountEventList = SharedObject('AccountEventList', 'A page of events.', {
  events: Type.Array(Type.Ref(AccountEvent), { maxItems: 1000, description: 'Newest first.' }),
  next: NextId
})
