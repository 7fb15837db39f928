import { Type } from '@sinclair/typebox'
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
