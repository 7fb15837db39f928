import { Type } from '@sinclair/typebox'
import { User } from '../accounts/schemas.ts'
import { Always, ExactObject, Id, Int32, SharedObject, Text } from '../http/wire-values.ts'
import { MAX_PASSKEYS } from '../metadata/factor-records.ts'
import { FirstRecoveryCodes, Passkey, SessionId } from './schemas.ts'

/** Bytes in base64url without padding (RFC 4648 section 5); the length is that of the text. */
const Base64Url = (description: string, maxLength: number, example: string) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[A-Za-z0-9_-]+$', description, examples: [example] })

/** 1,023 bytes (WebAuthn level 3 section 4, "Credential ID"). */
const MAX_ID_LENGTH = 1364

const CredentialId = Base64Url(
  'Id of the credential, chosen by the authenticator.', MAX_ID_LENGTH, 'AQIDBAUGBwgJCgsMDQ4PEA'
)

const ClientData = Base64Url(
  'What the browser has signed for: challenge, origin and type.', 4096, 'eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0'
)

// What browsers make: they may add members.
const open = { additionalProperties: true }

export const PasskeyAttestation = Type.Object({
  id: CredentialId,
  response: Type.Object({
    clientDataJSON: ClientData,
    attestationObject: Base64Url(
      'The new public key, as the authenticator made it. An attestation statement is ignored.', 16_384, 'o2NmbXRkbm9uZQ'
    )
  }, { ...open, description: 'The response of the authenticator.' })
}, {
  ...open,
  $id: 'PasskeyAttestation',
  description: 'A new credential: `RegistrationResponseJSON` (WebAuthn level 3), as `toJSON` of a browser returns ' +
    'it. Members that are not listed are ignored.'
})

export const PasskeyAssertion = Type.Object({
  id: CredentialId,
  response: Type.Object({
    clientDataJSON: ClientData,
    authenticatorData: Base64Url(
      'What the authenticator has signed: host, flags, counter.',
      4096,
      'SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAQ'
    ),
    signature: Base64Url('The signature.', 8192, 'MEUCIQ'),
    userHandle: Type.Optional(Base64Url(
      'The user handle that the authenticator has kept with the credential. Required to sign in.',
      86,
      'AQIDBAUGBwgJCgsMDQ4PEA'
    ))
  }, { ...open, description: 'The response of the authenticator.' })
}, {
  ...open,
  $id: 'PasskeyAssertion',
  description: 'A signature of a credential: `AuthenticationResponseJSON` (WebAuthn level 3), as `toJSON` of a ' +
    'browser returns it. Members that are not listed are ignored.'
})

export const NewPasskey = SharedObject('NewPasskey', 'A passkey to register.', {
  name: { ...Passkey.properties.name, description: 'A name of your choice; no control characters.' },
  credential: Type.Ref(PasskeyAttestation),
  sessionId: SessionId
})

export const RegisteredPasskey = SharedObject('RegisteredPasskey', 'A new passkey.', {
  ...Passkey.properties, recoveryCodes: FirstRecoveryCodes
})

export const PasskeySignature = SharedObject('PasskeySignature', 'The answer of a passkey to a challenge.', {
  credential: Type.Ref(PasskeyAssertion)
})

export const PasskeyConfirmation = SharedObject('PasskeyConfirmation', 'A code that stands for a passkey.', {
  code: Text(
    'A code for `One-Time-Code`. It works once, within five minutes.',
    'abcd-efgh-ijkl-mnop-qrst-uvwx-yzab',
    { maxLength: 34, pattern: '^[a-z2-7]{4}(?:-[a-z2-7]{4}){6}$' }
  )
})

const Challenge = Base64Url('The challenge to sign, once and within five minutes.', 1024, 'AQIDBAUGBwgJCgsMDQ4PEA')

const Timeout = Int32('Milliseconds until the challenge expires.', 300_000, { minimum: 1, maximum: 3_600_000 })

const PublicKeyType = Always('public-key', 'Always `public-key`.')

const Required = Always('required', 'Always `required`.')

const Credentials = (description: string) => Type.Array(
  ExactObject('A credential.', { type: PublicKeyType, id: CredentialId }), { maxItems: MAX_PASSKEYS, description }
)

const Host = Text(
  'The host that passkeys belong to.',
  'localhost',
  { minLength: 1, maxLength: 253, pattern: '^[^\\s/:]+$' }
)

const CREATION_OPTIONS =
  '`PublicKeyCredentialCreationOptionsJSON` (WebAuthn level 3), for `parseCreationOptionsFromJSON` of a browser.'

export const PasskeyCreationOptions = SharedObject('PasskeyCreationOptions', CREATION_OPTIONS, {
  rp: ExactObject('The relying party.', {
    id: Host,
    name: Always('MagicStore', 'Name of the service.')
  }),
  user: ExactObject('The account.', {
    id: Base64Url(
      'The user handle of the account: random, and the same for all its passkeys.', 86, 'AQIDBAUGBwgJCgsMDQ4PEA'
    ),
    name: User.properties.username,
    displayName: User.properties.username
  }),
  challenge: Challenge,
  pubKeyCredParams: Type.Array(ExactObject('An algorithm.', {
    type: PublicKeyType,
    alg: Int32('Number of a COSE algorithm.', -7, { minimum: -65_536, maximum: 65_536 })
  }), { maxItems: 16, description: 'Algorithms of the key, the preferred ones first.' }),
  timeout: Timeout,
  attestation: Always('none', 'Always `none`.'),
  authenticatorSelection: ExactObject('What the authenticator must be able to do.', {
    residentKey: Required,
    requireResidentKey: Always(true, 'The same for older browsers.'),
    userVerification: Required
  }),
  excludeCredentials: Credentials('The passkeys that the account has.')
})

const REQUEST_OPTIONS =
  '`PublicKeyCredentialRequestOptionsJSON` (WebAuthn level 3), for `parseRequestOptionsFromJSON` of a browser.'

export const PasskeyRequestOptions = SharedObject('PasskeyRequestOptions', REQUEST_OPTIONS, {
  challenge: Challenge,
  rpId: Host,
  timeout: Timeout,
  userVerification: Required,
  allowCredentials: Type.Optional(
    Credentials('The passkeys of the account. Omitted in a sign-in, which begins without an account.')
  )
})

/** The shared schemas of the document, in its order. */
export const passkeySchemas = [
  PasskeyCreationOptions, PasskeyAttestation, NewPasskey, RegisteredPasskey, PasskeyRequestOptions, PasskeyAssertion,
  PasskeySignature, PasskeyConfirmation
]

export const PasskeyParams = Type.Object({ id: Id('The `id` of the passkey.', 3) })
