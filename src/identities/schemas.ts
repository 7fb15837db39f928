import { type Static, Type } from '@sinclair/typebox'
import { NewUser } from '../accounts/schemas.ts'
import { MAX_USERNAME_POINTS } from '../accounts/username.ts'
import { dateOf, Id, NullableText, ONE_LINE, SharedObject, Text, Timestamp } from '../http/wire-values.ts'
import { type IdentityRecord, MAX_IDENTITIES } from '../metadata/identities.ts'

const Signed = (description: string, maxLength: number) =>
  Text(description, 'c2lnbmF0dXJlWyJpZCIsMF0', { minLength: 1, maxLength, pattern: '^[A-Za-z0-9_-]+$' })

const flow = Signed('What the page keeps until the provider sends the browser back: 30 minutes at most.', 256)

export const ProviderOptions = SharedObject('ProviderOptions', 'Where to sign in at the identity provider.', {
  url: Type.String({
    format: 'uri',
    maxLength: 16_384,
    pattern: '^https?://',
    description: 'The address to open in the browser. Its parameter `state` is that of the answer.',
    examples: ['https://id.example.com/authorize?client_id=magicstore&response_type=code']
  }),
  flow
})

export const ProviderAnswer = SharedObject('ProviderAnswer', 'The answer of the identity provider.', {
  flow,
  response: Text(
    'The query with which the provider has sent the browser to `/oidc/callback`, from where it comes to the page in ' +
    'the fragment `#oidc=`, percent-encoded.',
    'code=abc&state=xyz',
    { minLength: 1, maxLength: 8192 }
  )
})

const registration = Signed('What registers the identity, once, within ten minutes.', 8192)

export const UnknownIdentity = SharedObject('UnknownIdentity', 'An identity without an account, which may have one.', {
  registration,
  username: NullableText({
    minLength: 1,
    maxLength: MAX_USERNAME_POINTS,
    pattern: ONE_LINE,
    description: 'The name that the provider proposes, if it is valid and free; else null.',
    examples: ['test_user']
  })
})

export const NewIdentityUser = SharedObject('NewIdentityUser', 'An account to register for an identity.', {
  registration,
  username: NewUser.properties.username
})

export const Identity = SharedObject('Identity', 'An identity of the account.', {
  id: Id('Id of the identity; never reused.', 5),
  issuer: Text('The provider.', 'https://id.example.com/realms/main', { maxLength: 1024, pattern: '^https?://' }),
  label: NullableText({
    maxLength: 255,
    pattern: ONE_LINE,
    description: 'How the provider called the identity when it was connected; null if that can\'t be shown.',
    examples: ['mum@example.org']
  }),
  createdAt: Timestamp('Time at which it was connected.'),
  lastUsedAt: Timestamp('Time of last use.')
})

/** An identity as clients see it. */
export function identityOf (
  { id, issuer, label, createdAt, lastUsedAt }: IdentityRecord
): Static<typeof Identity> {
  return { id, issuer, label, createdAt: dateOf(createdAt), lastUsedAt: dateOf(lastUsedAt) }
}

export const IdentityList = SharedObject('IdentityList', 'The identities of the account.', {
  identities: Type.Array(Type.Ref(Identity), { maxItems: MAX_IDENTITIES, description: 'Oldest first.' })
})

export const IdentityConfirmation = SharedObject('IdentityConfirmation', 'An identity has confirmed.', {
  code: Text(
    'Send it in `One-Time-Code`, with your username and an empty password, when you create a token or delete the ' +
    'account: it works once, within five minutes.',
    'abcd-efgh-ijkl-mnop-qrst-uvwx-yz23',
    { maxLength: 34, pattern: '^[a-z2-7]{4}(?:-[a-z2-7]{4}){6}$' }
  )
})

export const IdentityParams = Type.Object({ id: Id('The `id` of the identity.', 5) })

/** The shared schemas of the document, in its order. */
export const identitySchemas = [
  ProviderOptions, ProviderAnswer, UnknownIdentity, NewIdentityUser, Identity, IdentityList, IdentityConfirmation
]
