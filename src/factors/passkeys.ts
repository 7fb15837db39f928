import { randomBytes } from 'node:crypto'
import { originOf } from '../accounts/network.ts'
import type { Challenge, PasskeyRecord } from '../metadata/factor-records.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { ifNot, invalidField, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { createConfirmationCode, prepareFirstFactor, type Staying } from './codes.ts'
import { findPasskeyHost, relyingPartyOf, type ArrivedRequest, type RelyingParty } from './relying-party.ts'
import type { Assertion, Attestation } from './webauthn.ts'

/** Lifetime of a challenge. */
const CHALLENGE_MILLISECONDS = 5 * 60_000

/** How long a code that stands for a passkey is valid: the request that needs it follows at once. */
const CONFIRMATION_MILLISECONDS = 5 * 60_000

/** A discoverable credential names its account, and one that verifies its user is two factors. */
const REQUIRED = 'required' as const

const PUBLIC_KEY = 'public-key' as const

/** A passkey to be added, and what stays if it is the first factor of its account. */
interface AddedPasskey { name: string, credential: Attestation, staying: Staying }

/**
 * What an assertion is for, and the request that has it. `account` is whose passkey is expected: undefined if the
 * passkey identifies it.
 */
interface AssertionContext {
  account: AccountRecord | undefined
  purpose: ChallengePurpose
  request: PasskeyRequest
}

/** A request about passkeys, which belong to the host at which it arrived. */
interface PasskeyRequest { readonly ip: string, readonly id: string, readonly raw: ArrivedRequest }

/** What a challenge is for. It is refused for anything else. A reset is named by the hash of its secret. */
type ChallengePurpose = 'registration' | 'sign-in' | 'confirmation' | `reset ${string}`

/** A challenge. `userHandle` is that of a passkey to be registered, else null. */
interface IssuedChallenge extends Challenge { readonly userHandle: string | null }

/**
 * Challenges for authenticators. They are signed, not stored, so unanswered ones leave nothing behind. The clock is
 * that of the database, which refuses a challenge that has expired or was used. `accountId` is null in a sign-in, where
 * the passkey identifies the account.
 */
export function createChallenges (
  { metadata, signedTexts }: Pick<AppServices, 'signedTexts'> & { metadata: Pick<Metadata, 'now'> }
) {
  return {
    /** A new challenge, in base64url. */
    async issue (purpose: ChallengePurpose, accountId: number | null, userHandle: string | null = null) {
      const id = randomBytes(16).toString('base64url')
      const expiresAt = await metadata.now() + CHALLENGE_MILLISECONDS
      return signedTexts.write(JSON.stringify([id, expiresAt, userHandle]), ['challenge', purpose, accountId])
    },

    /** What `issue` has made for this purpose and account. It may have expired. @throws for anything else. */
    async read (signed: string, purpose: ChallengePurpose, accountId: number | null): Promise<IssuedChallenge> {
      const text = await signedTexts.read(signed, ['challenge', purpose, accountId])
      if (text === undefined) throw new Error('the challenge is not for this act')
      const [id, expiresAt, userHandle] = JSON.parse(text)
      return { id, expiresAt, userHandle }
    }
  }
}

export type Passkeys = ReturnType<typeof createPasskeys>

/** Passkeys: credentials of WebAuthn that authenticators keep and that verify their user. */
export function createPasskeys (
  { config: { publicUrl }, metadata, securityLog, signIn, signedTexts }:
  Pick<AppServices, 'config' | 'metadata' | 'securityLog' | 'signIn' | 'signedTexts'>
) {
  const challenges = createChallenges({ metadata, signedTexts })

  const partyOf = ({ raw }: PasskeyRequest) => relyingPartyOf(raw, publicUrl)

  async function verifyNew ({ id }: AccountRecord, credential: Attestation, party: RelyingParty) {
    const { challengeIn, verifyAttestation } = await import('./webauthn.ts')
    const signed = challengeIn(credential)
    const challenge = await challenges.read(signed, 'registration', id)
    return { challenge, ...await verifyAttestation(credential, { challenge: signed, party }) }
  }

  /** The challenge of an assertion, as it was signed and what it says. @throws for anything that is not right. */
  async function readSigned (credential: Assertion, { account, purpose }: AssertionContext) {
    const { challengeIn } = await import('./webauthn.ts')
    const signed = challengeIn(credential)
    return { signed, issued: await challenges.read(signed, purpose, account?.id ?? null) }
  }

  /** The account of the passkey. A known one that did not sign this is an event. @throws passkey_refused. */
  async function use (credential: Assertion, context: AssertionContext): Promise<AccountRecord> {
    const { verifyAssertion } = await import('./webauthn.ts')
    const { account: expected, request } = context
    const party = partyOf(request)
    // First, so that a wrong one takes as long for a credential that is unknown.
    const challenge = await readSigned(credential, context).catch(() => undefined)
    const found = await metadata.factors.findPasskey(credential.id)
    if (found === undefined) throw new Problem('passkey_refused')
    const { passkey, account } = found
    if (challenge !== undefined && isExpected(found, credential, expected)) {
      const { signed, issued } = challenge
      const verified = await verifyAssertion(credential, passkey, { challenge: signed, party }).catch(() => undefined)
      const using = verified && metadata.factors.usePasskey({ id: passkey.id, counter: verified.counter }, issued)
      if (using !== undefined && await ifNot('passkey_refused', using) === true) return account
    }
    securityLog.record({ kind: 'passkey_refused', account, ...originOf(request) })
    throw new Problem('passkey_refused')
  }

  return {
    /** The host that passkeys belong to; undefined if the server can't have any. */
    host: findPasskeyHost(publicUrl),

    /** What a browser needs to make a passkey. */
    async creationOptions ({ id, username }: AccountRecord, request: PasskeyRequest) {
      const { listAlgorithms } = await import('./webauthn.ts')
      const { passkeys } = await metadata.factors.list(id)
      const userHandle = passkeys[0]?.userHandle ?? randomBytes(32).toString('base64url')
      return {
        rp: { id: partyOf(request).id, name: 'MagicStore' as const },
        user: { id: userHandle, name: username, displayName: username },
        challenge: await challenges.issue('registration', id, userHandle),
        pubKeyCredParams: listAlgorithms().map(alg => ({ type: PUBLIC_KEY, alg })),
        timeout: CHALLENGE_MILLISECONDS,
        attestation: 'none' as const,
        authenticatorSelection: {
          residentKey: REQUIRED, requireResidentKey: true as const, userVerification: REQUIRED
        },
        excludeCredentials: descriptorsOf(passkeys)
      }
    },

    /**
     * Adds a passkey. Returns recovery codes if it is the first factor of the account.
     * @throws passkey_invalid, validation_failed if the name is not well-formed, too_many_passkeys, credentials_wrong.
     */
    async add (
      account: AccountRecord, { name, credential, staying }: AddedPasskey, request: PasskeyRequest
    ): Promise<{ passkey: PasskeyRecord, recoveryCodes: string[] | null }> {
      // The driver would replace ill-formed characters.
      if (!name.isWellFormed()) throw invalidField('name', 'is not well-formed Unicode')
      const { challenge, ...verified } = await verifyNew(account, credential, partyOf(request))
        .catch((cause: unknown) => { throw new Problem('passkey_invalid', { cause }) })
      const passkey = { name, credentialId: credential.id, userHandle: String(challenge.userHandle), ...verified }
      const { codes, first } = prepareFirstFactor(staying)
      const added = await metadata.factors.addPasskey(account, passkey, challenge, first)
      return { passkey: added.passkey, recoveryCodes: added.isFirst ? codes : null }
    },

    /** What a browser needs to sign a person in: it asks which passkey to use. */
    async signInOptions (request: PasskeyRequest) {
      return requestOptions(partyOf(request), await challenges.issue('sign-in', null))
    },

    /** The account whose passkey has signed. Anything else is an event. @throws passkey_refused. */
    async signIn (credential: Assertion, request: PasskeyRequest): Promise<AccountRecord> {
      const account = await use(credential, { account: undefined, purpose: 'sign-in', request })
      await signIn.noteSignIn(account, originOf(request))
      return account
    },

    /** What a browser needs to ask for a passkey of an account. */
    async confirmationOptions ({ id }: AccountRecord, request: PasskeyRequest, purpose: ChallengePurpose) {
      const { passkeys } = await metadata.factors.list(id)
      return {
        ...requestOptions(partyOf(request), await challenges.issue(purpose, id)),
        allowCredentials: descriptorsOf(passkeys)
      }
    },

    /** A code that stands for a passkey of the account, once. @throws passkey_refused, credentials_wrong. */
    async confirm (credential: Assertion, context: AssertionContext & { account: AccountRecord }): Promise<string> {
      await use(credential, context)
      const { code, hash } = createConfirmationCode()
      await metadata.factors.addConfirmation(context.account, hash, CONFIRMATION_MILLISECONDS)
      return code
    }
  }
}

/**
 * Whether a passkey may be used, before its signature is verified. Authenticators may leave out the user handle if they
 * were told which passkeys to use (WebAuthn level 3 section 7.2, step 6).
 */
function isExpected (
  { passkey, account }: { passkey: PasskeyRecord, account: AccountRecord },
  { response: { userHandle } }: Assertion,
  expected: AccountRecord | undefined
): boolean {
  if (account.disabledAt !== null) return false
  if (expected === undefined) return userHandle === passkey.userHandle
  return account.id === expected.id && (userHandle ?? passkey.userHandle) === passkey.userHandle
}

function descriptorsOf (passkeys: readonly PasskeyRecord[]) {
  return passkeys.map(({ credentialId: id }) => ({ type: PUBLIC_KEY, id }))
}

function requestOptions ({ id: rpId }: RelyingParty, challenge: string) {
  return { challenge, rpId, timeout: CHALLENGE_MILLISECONDS, userVerification: REQUIRED }
}
