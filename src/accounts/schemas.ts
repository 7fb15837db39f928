import { Type, type Static } from '@sinclair/typebox'
import { eventKinds } from './events.ts'
import { MAX_USERNAME_POINTS } from './username.ts'

/** Longest string, in code points, that a JSON body can carry; rules that look at bytes after NFC refuse long ones by codes of their own. */
export const MAX_TEXT_POINTS = 64 * 1024

/** Text of one line: no control characters. */
export const ONE_LINE = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$'

/** An id as it stands in an address: counted from 1. */
export const ID = '^[1-9][0-9]{0,15}$'

/** Entries on a page as they stand in an address: 1 to 1,000. */
export const PAGE_SIZE = '^(?:[1-9][0-9]{0,2}|1000)$'

export const Id = (description: string, example: number) => Type.Integer({ format: 'int64', minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description, examples: [example] })

export const Count = (description: string, example: number) => Type.Integer({ format: 'int64', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description, examples: [example] })

export const Timestamp = (description: string) => Type.String({ format: 'date-time', pattern: 'Z$', maxLength: 24, description: `${description} RFC 3339, in UTC, to the millisecond.`, examples: ['2026-11-24T09:30:00.000Z'] })

/** A string that may be null; as one schema, for serialisers check the members of a union at every answer. */
export const NullableText = (options: { description: string, maxLength: number, pattern?: string, format?: string, examples: unknown[] }) => Type.Unsafe<string | null>({ type: ['string', 'null'], ...options })

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
  id: Type.String({ pattern: ID, maxLength: 16, description: 'The id that registration answered.', examples: ['1'] })
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

/** Where the next page of what is listed by id begins. */
export const NextId = NullableText({ pattern: ID, maxLength: 16, description: 'The `cursor` of the next page; null on the last one.', examples: ['17'] })

export const AccountEventList = Type.Object({
  events: Type.Array(Type.Ref(AccountEvent), { maxItems: 1000, description: 'The latest first.' }),
  next: NextId
}, { $id: 'AccountEventList', additionalProperties: false, description: 'A page of events.' })

/** Pages of what is listed the newest first. */
export const PageQuery = Type.Object({
  limit: Type.Optional(Type.String({ pattern: PAGE_SIZE, maxLength: 4, default: '100', description: 'Entries on a page, 1 to 1,000.', examples: ['50'] })),
  cursor: Type.Optional(Type.String({ pattern: ID, maxLength: 16, description: 'Where the last page ended: its `next`.', examples: ['17'] }))
}, { additionalProperties: false })
export type PageQuery = Static<typeof PageQuery>

/** The next page of an operation that lists by id (OpenAPI links). */
export const nextPageOf = (operationId: string) => ({
  nextPage: { operationId, parameters: { cursor: '$response.body#/next', limit: '$request.query.limit' }, description: 'The next page, unless `next` is null.' }
})

/** The page that a query asks for, with one entry more to see whether another follows. */
export function pageOf ({ limit = '100', cursor }: PageQuery): { beforeId: number | undefined, limit: number } {
  return { beforeId: cursor === undefined ? undefined : Number(cursor), limit: Number(limit) + 1 }
}

/** Cuts the entry off that only shows that another page follows. */
export function cutPage<Entry extends { id: number }> (found: Entry[], { limit }: { limit: number }): { entries: Entry[], next: string | null } {
  const entries = found.slice(0, limit - 1)
  return { entries, next: found.length === limit ? String(entries.at(-1)?.id) : null }
}
