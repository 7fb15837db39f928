import { Type, type Static } from '@sinclair/typebox'
import { eventKinds } from './events.ts'
import { MAX_USERNAME_POINTS } from './username.ts'

export const Timestamp = Type.String({ format: 'date-time', description: 'RFC 3339, in UTC.', examples: ['2026-11-24T09:30:00.000Z'] })

export const NewUser = Type.Object({
  username: Type.String({ minLength: 1, maxLength: MAX_USERNAME_POINTS, description: 'Compared without regard to case and width (RFC 8265 section 3.3); no colon, no control or invisible characters, no space at either end.', examples: ['test_user'] }),
  password: Type.String({ minLength: 1, description: 'Used exactly as sent, after NFC; at most 1,024 bytes of UTF-8.', examples: ['pwd'] })
}, { $id: 'NewUser', additionalProperties: false, description: 'Who wants to register.' })

export const User = Type.Object({
  id: Type.Integer({ minimum: 1, description: 'Counts from 1; never used twice.', examples: [1] }),
  username: Type.String({ description: 'As it was registered.', examples: ['test_user'] }),
  createdAt: Timestamp
}, { $id: 'User', additionalProperties: false, description: 'A registered person, as anyone may see them.' })

export const UserParams = Type.Object({
  id: Type.String({ pattern: '^[1-9][0-9]{0,15}$', description: 'The id that registration answered.', examples: ['1'] })
})

const Count = (description: string) => Type.Integer({ minimum: 0, description, examples: [3] })
const Limit = (description: string) => Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description })

export const Account = Type.Object({
  id: Type.Integer({ minimum: 1, description: 'Counts from 1; never used twice.', examples: [1] }),
  username: Type.String({ description: 'As it was registered.', examples: ['test_user'] }),
  createdAt: Timestamp,
  usage: Type.Object({
    files: Count('Files stored.'),
    bytes: Count('Bytes stored.'),
    quotaBytes: Limit('Bytes that may be stored; null without a limit.'),
    quotaFiles: Limit('Files that may be stored; null without a limit.')
  }, { additionalProperties: false, description: 'What is stored and what may be.' })
}, { $id: 'Account', additionalProperties: false, description: 'The caller\'s own account.' })

export const NewPassword = Type.Object({
  password: Type.String({ minLength: 1, description: 'The new password, by the same rules as at registration.', examples: ['a longer secret'] })
}, { $id: 'NewPassword', additionalProperties: false, description: 'A password to take the place of the present one.' })

export const AccountEvent = Type.Object({
  id: Type.Integer({ minimum: 1, description: 'Grows with time.', examples: [17] }),
  kind: Type.String({ enum: [...eventKinds], description: 'What happened.', examples: ['token_issued'] }),
  network: Type.String({ description: 'Where from: an IPv4 address or an IPv6 /64; `operator` for what the operator did by command.', examples: ['127.0.0.1'] }),
  requestId: Type.String({ description: 'Names the request in the server\'s log; `-` for a command.', examples: ['req-1'] }),
  createdAt: Timestamp
}, { $id: 'AccountEvent', additionalProperties: false, description: 'Something that happened to the account.' })

export const AccountEventList = Type.Object({
  events: Type.Array(Type.Ref(AccountEvent), { maxItems: 1000, description: 'The latest first.' }),
  next: Type.Union([Type.String(), Type.Null()], { description: 'The `cursor` of the next page; null on the last one.' })
}, { $id: 'AccountEventList', additionalProperties: false, description: 'A page of events.' })

/** Pages of what is listed the newest first. */
export const PageQuery = Type.Object({
  limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]{0,2}|1000)$', default: '100', description: 'Entries on a page, 1 to 1,000.', examples: ['50'] })),
  cursor: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,15}$', description: 'Where the last page ended: its `next`.', examples: ['17'] }))
}, { additionalProperties: false })
export type PageQuery = Static<typeof PageQuery>

/** The page that a query asks for, with one entry more to see whether another follows. */
export function pageOf ({ limit = '100', cursor }: PageQuery): { beforeId: number | undefined, limit: number } {
  return { beforeId: cursor === undefined ? undefined : Number(cursor), limit: Number(limit) + 1 }
}

/** Cuts the entry off that only shows that another page follows. */
export function cutPage<Entry extends { id: number }> (found: Entry[], { limit }: { limit: number }): { entries: Entry[], next: string | null } {
  const entries = found.slice(0, limit - 1)
  return { entries, next: found.length === limit ? String(entries.at(-1)?.id) : null }
}
