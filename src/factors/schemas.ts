import { Type, type Static } from '@sinclair/typebox'
import {
  Count, dateOf, Id, knownDateOf, NullableTimestamp, ONE_LINE, SharedObject, Text, Timestamp
} from '../http/wire-values.ts'
import { MAX_PASSKEYS, type PasskeyRecord } from '../metadata/factor-records.ts'
import { TOTP_PATTERN } from './totp.ts'

/** For pages whose requests have no cookie of their session. */
export const SessionId = Type.Optional(
  Id('The session that stays if this is the first second factor, where the request has no cookie of it.', 21)
)

const codes = {
  minItems: 10,
  maxItems: 10,
  description: 'Ten recovery codes. Each works once in place of a one-time code, when the device is lost. They are ' +
    'returned only here.',
  examples: [Array.from('abcdefghij', letter => `${letter}bcd-efgh-ijkl-mnop-qrst-uvwx`)]
}

const RecoveryCode = Text(
  'A recovery code. Case, spaces and hyphens do not matter.',
  'abcd-efgh-ijkl-mnop-qrst-uvwx',
  { maxLength: 29, pattern: '^[a-z2-7]{4}(?:-[a-z2-7]{4}){5}$' }
)

/** The recovery codes of a response that has them only with the first second factor of the account. */
export const FirstRecoveryCodes = Type.Unsafe<string[] | null>({
  type: ['array', 'null'],
  ...codes,
  items: RecoveryCode,
  description: `${codes.description} Null unless this is the first second factor of the account.`
})

export const Passkey = SharedObject('Passkey', 'A passkey of the account.', {
  id: Id('Id of the passkey; never reused.', 3),
  name: Text('Name given by the owner.', 'my phone', { minLength: 1, maxLength: 100, pattern: ONE_LINE }),
  createdAt: Timestamp('Time of registration.'),
  lastUsedAt: NullableTimestamp('Time of last use (RFC 3339, UTC); null if never used.')
})

/** A passkey as clients see it. */
export function passkeyOf ({ id, name, createdAt, lastUsedAt }: PasskeyRecord): Static<typeof Passkey> {
  return { id, name, createdAt: dateOf(createdAt), lastUsedAt: knownDateOf(lastUsedAt) }
}

const FACTORS = 'The second factors of the account. With one, the password alone is refused.'

export const SecondFactor = SharedObject('SecondFactor', FACTORS, {
  totp: Type.Unsafe<{ createdAt: string } | null>({
    type: ['object', 'null'],
    properties: { createdAt: Timestamp('Time at which they were turned on.') },
    required: ['createdAt'],
    additionalProperties: false,
    description: 'One-time codes of an app; null if they are off.',
    examples: [null]
  }),
  passkeys: Type.Array(Type.Ref(Passkey), { maxItems: MAX_PASSKEYS, description: 'The passkeys, oldest first.' }),
  recoveryCodesLeft: Count('Recovery codes that were not used.', 0)
})

export const TotpSecret = SharedObject('TotpSecret', 'A secret for one-time codes (RFC 6238), not turned on yet.', {
  secret: Text(
    'The secret in base32, for apps that can\'t scan. It is returned only here.',
    'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
    { maxLength: 32, pattern: '^[A-Z2-7]{32}$' }
  ),
  uri: Type.String({
    format: 'uri',
    maxLength: 4096,
    pattern: '^otpauth://totp/',
    description: 'The address to show as a QR code.',
    examples: [
      'otpauth://totp/MagicStore:test_user?issuer=MagicStore&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' +
        '&algorithm=SHA1&digits=6&period=30'
    ]
  })
})

export const TotpCode = SharedObject('TotpCode', 'A one-time code that shows that the app has the secret.', {
  code: Text('The six digits that the app shows.', '123456', { maxLength: 6, pattern: TOTP_PATTERN }),
  sessionId: SessionId
})

export const TotpResult = SharedObject('TotpResult', 'One-time codes are on.', { recoveryCodes: FirstRecoveryCodes })

export const RecoveryCodes = SharedObject('RecoveryCodes', 'New recovery codes.', {
  recoveryCodes: Type.Array(RecoveryCode, codes)
})

/** The shared schemas of the document, in its order. */
export const factorSchemas = [SecondFactor, TotpSecret, TotpCode, TotpResult, RecoveryCodes, Passkey]
