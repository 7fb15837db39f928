import { Type } from '@sinclair/typebox'
import { NextId } from '../http/pagination.ts'
import { Count, Id, MAX_TEXT_POINTS, ONE_LINE, Timestamp } from '../http/wire-values.ts'
import { eventKinds } from './events.ts'
import { MAX_USERNAME_POINTS } from './username.ts'

const createdAt = Timestamp('When the person registered.')
const username = Type.String({ minLength: 1, maxLength: MAX_USERNAME_POINTS, pattern: ONE_LINE, description: 'As it was registered.', examples: ['test_user'] })
const accountId = Id('Counts from 1; never used twice.', 1)

// What a username or a password may be is more than a pattern can say: the format names the rule, which refuses with a code of its own.
export const NewUser = Type.Object({
  username: Type.String({ format: 'username', minLength: 1, maxLength: MAX_USERNAME_POINTS, description: 'Compared without regard to case and width (RFC 8265 section 3.3); no colon, no control or invisible characters, no space at either end.', examples: ['test_user'] }),
  password: Type.String({ format: 'password', minLength: 1, maxLength: MAX_TEXT_POINTS, description: 'Used exactly as sent, after NFC; at most 1,024 bytes of UTF-8.', examples: ['pwd'] })
}, { $id: 'NewUser', additionalProperties: false, description: 'Who wants to register.' })

export const User = Type.Object({ id: accountId, username, createdAt }, { $id: 'User', additionalProperties: false, description: 'A registered person, as anyone may see them.' })

/** What can be done next with the answer to a registration (OpenAPI links). */
export const registrationLinks = {
  getUser: { operationId: 'getUser', parameters: { id: '$response.body#/id' }, description: 'What others see of the person.' },
  getToken: { operationId: 'getToken', description: 'A token, for the username and the password that were registered, by Basic.' }
}

export const UserParams = Type.Object({
  id: Id('The `id` of the user, as registration returned it.', 1)
})

const Quota = (description: string) => Type.Unsafe<number | null>({ type: ['integer', 'null'], format: 'int64', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description, examples: [null] })

export const Account = Type.Object({
  id: accountId,
  username,
  createdAt,
  usage: Type.Object({
    files: Count('Files stored.', 3),
    bytes: Count('Bytes stored.', 52417),
    quotaBytes: Quota('Bytes that may be stored; null without a limit.'),
    quotaFiles: Quota('Files that may be stored; null without a limit.')
  }, { additionalProperties: false, description: 'What is stored and what may be.' })
}, { $id: 'Account', additionalProperties: false, description: 'The caller\'s own account.' })

export const NewPassword = Type.Object({
  password: Type.String({ format: 'password', minLength: 1, maxLength: MAX_TEXT_POINTS, description: 'The new password, by the same rules as at registration.', examples: ['a longer secret'] })
}, { $id: 'NewPassword', additionalProperties: false, description: 'A password to take the place of the present one.' })

export const AccountEvent = Type.Object({
  id: Id('Grows with time.', 17),
  kind: Type.String({ enum: [...eventKinds], description: 'What happened.', examples: ['token_issued'] }),
  network: Type.String({ maxLength: 43, pattern: '^(?:[0-9a-f.:]+(?:/64)?|operator|unknown)$', description: 'Where from: an IPv4 address or an IPv6 /64; `operator` for what the operator did by command.', examples: ['127.0.0.1'] }),
  requestId: Type.String({ maxLength: 64, pattern: '^[A-Za-z0-9-]+$', description: 'Names the request in the server\'s log, as `X-Request-Id` named it in the answer; `-` for a command.', examples: ['9b3a2a3e-6a0f-4c36-8f0e-2f1d3b5c7a90'] }),
  createdAt: Timestamp('When it happened.')
}, { $id: 'AccountEvent', additionalProperties: false, description: 'Something that happened to the account.' })

export const AccountEventList = Type.Object({
  events: Type.Array(Type.Ref(AccountEvent), { maxItems: 1000, description: 'The latest first.' }),
  next: NextId
}, { $id: 'AccountEventList', additionalProperties: false, description: 'A page of events.' })
