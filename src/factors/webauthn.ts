import {
  getDefaultSupportedAlgorithmIDs, verifyAuthenticationResponse, verifyRegistrationResponse
} from '@simplewebauthn/server'
import {
  decodeAttestationObject, decodeClientDataJSON, decodeCredentialPublicKey, isoBase64URL, isoCBOR, verifySignature
} from '@simplewebauthn/server/helpers'
import type { PasskeyRecord } from '../metadata/factor-records.ts'
import type { RelyingParty } from './relying-party.ts'

/** All that uses the library, which takes a third of a second to load: import it when it is needed. */

/** A new credential: what the server reads of `RegistrationResponseJSON` (WebAuthn level 3 section 5.1). */
export interface Attestation {
  readonly id: string
  readonly response: { readonly clientDataJSON: string, readonly attestationObject: string }
}

/** A signature of a credential: what the server reads of `AuthenticationResponseJSON`. */
export interface Assertion {
  readonly id: string
  readonly response: {
    readonly clientDataJSON: string
    readonly authenticatorData: string
    readonly signature: string
    readonly userHandle?: string
  }
}

/** What an answer of an authenticator is compared with. */
interface ExpectedAnswer { readonly challenge: string, readonly party: RelyingParty }

/** What was verified: `counter` is how often the authenticator has signed. */
interface Verified { readonly counter: number }

/** The algorithms of new keys, the preferred ones first (COSE, RFC 9053). */
export function listAlgorithms (): number[] {
  return getDefaultSupportedAlgorithmIDs()
}

/**
 * The challenge that an authenticator has signed, as it says.
 * @throws if the answer is malformed, or was given in a frame of another site's page.
 */
export function challengeIn ({ response }: Attestation | Assertion): string {
  const { challenge, crossOrigin } = decodeClientDataJSON(response.clientDataJSON)
  if (crossOrigin === true) throw new Error('the page was in a frame of another site')
  // Clients may send a value of any type.
  return String(challenge)
}

/**
 * Verifies a new passkey. Returns its public key, in base64url.
 * @throws for anything that is not right.
 */
export async function verifyAttestation (
  { id, response: { clientDataJSON, attestationObject } }: Attestation, { challenge, party }: ExpectedAnswer
): Promise<Verified & { readonly publicKey: string }> {
  const response = { clientDataJSON, attestationObject: withoutStatement(attestationObject) }
  const { registrationInfo } = await verifyRegistrationResponse({
    response: { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response },
    ...expectations({ challenge, party })
  })
  if (registrationInfo?.credential.id !== id) throw new Error('the authenticator has signed another id')
  const { publicKey, counter } = registrationInfo.credential
  await checkKey(publicKey)
  return { publicKey: isoBase64URL.fromBuffer(publicKey), counter }
}

/** Verifies a signature of a passkey, but not its counter. @throws for anything that is not right. */
export async function verifyAssertion (
  { id, response: { clientDataJSON, authenticatorData, signature } }: Assertion,
  { publicKey }: PasskeyRecord,
  expected: ExpectedAnswer
): Promise<Verified> {
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: { clientDataJSON, authenticatorData, signature }
    },
    // The counter is compared in the query that sets it.
    credential: { id, publicKey: isoBase64URL.toBuffer(publicKey), counter: 0 },
    ...expectations(expected)
  })
  if (!verified) throw new Error('the signature is wrong')
  return { counter: authenticationInfo.newCounter }
}

/** Numbers in a key are those of its type, algorithm and curve. */
const MAX_KEY_NUMBER = 65_536

/** The modulus of an RSA key (RFC 8230 section 4), of at most 4,096 bits: a larger one is slow to verify with. */
const MODULUS = -1
const MAX_MODULUS_BYTES = 512

/** Of a coordinate of the largest curve, P-521. */
const MAX_MEMBER_BYTES = 66

/** A well-formed signature of ECDSA, which is wrong for every key. */
const NO_SIGNATURE = Uint8Array.from([0x30, 6, 2, 1, 1, 2, 1, 1])

/**
 * Refuses a key that the library can't use, which looks at it in the first sign-in only, and one that is slow to use.
 * A number in place of bytes would be the length of an array that the library allocates.
 */
async function checkKey (credentialPublicKey: ReturnType<Uint8Array['slice']>): Promise<void> {
  const key = decodeCredentialPublicKey(credentialPublicKey) as unknown as Map<unknown, unknown>
  const isPlain = Array.from(key).every(([label, value]) => value instanceof Uint8Array
    ? value.length <= (label === MODULUS ? MAX_MODULUS_BYTES : MAX_MEMBER_BYTES)
    : typeof value === 'number' && Math.abs(value) <= MAX_KEY_NUMBER)
  if (!isPlain) throw new Error('the key has members of other types or sizes')
  await verifySignature({ credentialPublicKey, signature: NO_SIGNATURE, data: NO_SIGNATURE })
}

function expectations ({ challenge, party }: ExpectedAnswer) {
  return {
    expectedChallenge: challenge, expectedOrigin: party.origin, expectedRPID: party.id, requireUserVerification: true
  }
}

/**
 * The same attestation without its statement, which says what kind of authenticator it is. The server does not use it,
 * but the library would parse certificates, and of `android-key` send a request to an address in one (a list of revoked
 * ones).
 */
function withoutStatement (attestationObject: string): string {
  const authData = decodeAttestationObject(isoBase64URL.toBuffer(attestationObject)).get('authData')
  const attestation = new Map<string, string | Uint8Array | Map<string, never>>([
    ['fmt', 'none'], ['attStmt', new Map<string, never>()], ['authData', authData]
  ])
  return isoBase64URL.fromBuffer(isoCBOR.encode(attestation))
}
