import { randomBytes } from 'node:crypto'
import { attemptKey } from '../accounts/attempt-limiter.ts'
import { type Origin, originOf } from '../accounts/network.ts'
import { networkLimit, type SignedIn } from '../accounts/sign-in.ts'
import { findUsernameKey, usernameKey } from '../accounts/username.ts'
import { createConfirmationCode, hashCode } from '../factors/codes.ts'
import type { Challenge } from '../metadata/factor-records.ts'
import type { IdentityRecord, NewIdentity } from '../metadata/identities.ts'
import { type AccountRecord, NO_PASSWORD } from '../metadata/records.ts'
import { ifNot, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { type ProviderClaims, isAllowed, labelOf } from './claims.ts'
import { createProvider, type Provider } from './provider.ts'

/** How long a person may take at the provider. */
const FLOW_MILLISECONDS = 30 * 60_000

/** How long a person may take to choose a name. */
const REGISTRATION_MILLISECONDS = 10 * 60_000

/** How long a code that stands for an identity is valid: the request that needs it follows at once. */
const CODE_MILLISECONDS = 5 * 60_000

/** How long ago a person may have signed in at the provider to confirm something. */
const CONFIRMATION_SECONDS = 300

/** How far the clock of the provider may be off. */
const CLOCK_SECONDS = 30

const REGISTRATION = ['oidc', 'registration', null] as const

/** What a person is at the provider for, and which account does it. An answer of the provider is for nothing else. */
type FlowPurpose = 'sign-in' | 'connect' | 'confirm'

/** What the page has got at the beginning, and the query with which the provider has sent the browser back. */
export interface ProviderAnswer { readonly flow: string, readonly response: string }

interface IdentityRequest { readonly ip: string, readonly id: string }

interface AnswerContext {
  readonly act: FlowPurpose
  /** Undefined in a sign-in, where the identity tells the account. */
  readonly account: AccountRecord | undefined
  readonly request: IdentityRequest
}

/** Somebody who may sign in, but has no account. */
export interface UnknownIdentity { readonly registration: string, readonly username: string | null }

interface NewRegistration { readonly registration: string, readonly username: string }

export type Identities = ReturnType<typeof createIdentities>

/** Sign-in with identities at a provider (OpenID Connect Core 1.0). */
export function createIdentities (
  { accounts, attemptLimiter, config, metadata, securityLog, signIn, signedTexts }:
  Pick<AppServices, 'accounts' | 'attemptLimiter' | 'config' | 'metadata' | 'securityLog' | 'signIn' | 'signedTexts'>
) {
  const provider = config.identityProvider && createProvider(config.identityProvider)

  /** @throws oidc_unavailable. */
  function getProvider (): Provider {
    if (provider === undefined) throw new Problem('oidc_unavailable')
    return provider
  }

  async function createChallenge (milliseconds: number): Promise<Challenge> {
    return { id: randomBytes(16).toString('base64url'), expiresAt: await metadata.now() + milliseconds }
  }

  /** Where a person signs in, and what the page keeps until then. @throws oidc_unavailable, provider_unavailable. */
  async function begin (act: FlowPurpose, account?: AccountRecord): Promise<{ url: string, flow: string }> {
    const provider = getProvider()
    const { id, expiresAt } = await createChallenge(FLOW_MILLISECONDS)
    const flow = await signedTexts.write(JSON.stringify([id, expiresAt]), purposeOf(act, account))
    const { secrets } = await readFlow(flow, { act, account })
    const parameters = act === 'confirm' ? { max_age: String(CONFIRMATION_SECONDS) } : {}
    return { url: await provider.addressOf(secrets, parameters), flow }
  }

  /** @throws oidc_refused for anything that `begin` did not make for this act and account. */
  async function readFlow (flow: string, { act, account }: Pick<AnswerContext, 'act' | 'account'>) {
    const found = await signedTexts.readWithSecrets(flow, purposeOf(act, account))
    if (found === undefined) return refuse('the flow is not for this act')
    const [id, expiresAt] = JSON.parse(found.text)
    const challenge: Challenge = { id, expiresAt }
    return { challenge, secrets: { state: id, nonce: found.secretFor('nonce'), verifier: found.secretFor('verifier') } }
  }

  /** What the provider says, once. @throws too_many_sign_ins, overloaded, oidc_refused, provider_unavailable. */
  async function read ({ flow, response }: ProviderAnswer, context: AnswerContext) {
    const origin = originOf(context.request)
    const attempt = {
      kind: 'oidc', network: origin.network, usernameKey: attemptKey(''), isKnownNetwork: false
    } as const
    const limit = networkLimit(attempt, config.signInFailures)
    const finish = await attemptLimiter.acquire(attempt, [limit], 'too_many_sign_ins')
    const claims = await getProvider().exchange(response, async () => {
      const { challenge, secrets } = await readFlow(flow, context)
      const isNew = await ifNot('oidc_refused', metadata.identities.useChallenge(challenge).then(() => true))
      return isNew === true ? secrets : refuse('the flow has expired or was used')
    }).catch(async (error: Partial<Problem & { cause: Error }>) => {
      const isRefused = error.code === 'oidc_refused'
      if (isRefused) record(context.account, origin, String(error.cause?.message))
      await finish(isRefused ? 'failed' : 'released')
      throw error
    })
    await finish('released')
    return claims
  }

  function record (account: AccountRecord | undefined, origin: Origin, reason: string, subject: string | null = null) {
    securityLog.record({ kind: 'identity_refused', account, ...origin, details: { reason, subject } })
  }

  /** The identity that the provider tells, which may sign in. @throws identity_not_allowed, and as `read`. */
  async function identify (answer: ProviderAnswer, context: AnswerContext) {
    const { settings: { allowed, issuer } } = getProvider()
    const claims = await read(answer, context)
    const identity: NewIdentity = { issuer, subject: claims.sub, label: labelOf(claims) }
    const origin = originOf(context.request)
    if (!isAllowed(claims, allowed)) {
      const account = context.account ?? await metadata.identities.findAccount(identity)
      record(account, origin, 'the identity is not allowed', claims.sub)
      throw new Problem('identity_not_allowed')
    }
    return { identity, claims, origin }
  }

  /** What lets somebody choose a name. @throws identity_unknown if nobody can register. */
  async function offerRegistration (
    { issuer, subject, label }: NewIdentity, { preferred_username: username }: ProviderClaims
  ): Promise<UnknownIdentity> {
    if (config.registration === 'closed') throw new Problem('identity_unknown')
    const { id, expiresAt } = await createChallenge(REGISTRATION_MILLISECONDS)
    const registration = await signedTexts.write(JSON.stringify([id, expiresAt, issuer, subject, label]), REGISTRATION)
    const key = typeof username === 'string' ? findUsernameKey(username) : undefined
    const isFree = key !== undefined && await metadata.accounts.findByKey(key) === undefined
    return { registration, username: isFree ? username as string : null }
  }

  /** @throws password_present. */
  function refusePassword ({ passwordHash }: AccountRecord) {
    if (passwordHash !== NO_PASSWORD) throw new Problem('password_present')
  }

  return {
    begin,

    /** @throws oidc_unavailable. */
    async list ({ id }: AccountRecord): Promise<IdentityRecord[]> {
      getProvider()
      return metadata.identities.list(id)
    },

    /** Also ends the sessions that the provider began. @throws oidc_unavailable, not_found, credentials_wrong. */
    async remove (account: AccountRecord, id: number): Promise<void> {
      getProvider()
      await metadata.identities.remove(account, id)
    },

    /**
     * The account of an identity, or what lets somebody without one register.
     * @throws identity_unknown if nobody can register, or the account is disabled; and as `identify`.
     */
    async signIn (
      answer: ProviderAnswer, request: IdentityRequest
    ): Promise<{ signedIn: SignedIn } | { unknown: UnknownIdentity }> {
      const { identity, claims, origin } = await identify(answer, { act: 'sign-in', account: undefined, request })
      const account = await ifNot('not_found', metadata.identities.use(identity))
      if (account === undefined) return { unknown: await offerRegistration(identity, claims) }
      if (account.disabledAt !== null) {
        record(account, origin, 'the account is disabled', identity.subject)
        throw new Problem('identity_unknown')
      }
      await signIn.noteSignIn(account, origin)
      return { signedIn: { account, factors: ['oidc'] } }
    },

    /**
     * Adds an account without a password for an identity that has signed in.
     * @throws oidc_refused, registration_closed, too_many_registrations, username_invalid, username_taken,
     * identity_taken.
     */
    async register ({ registration, username }: NewRegistration, request: IdentityRequest): Promise<SignedIn> {
      const { settings } = getProvider()
      if (config.registration === 'closed') throw new Problem('registration_closed')
      const text = await signedTexts.read(registration, REGISTRATION)
      const [id, expiresAt, issuer, subject, label] = JSON.parse(text ?? '[]')
      if (issuer !== settings.issuer) return refuse('the registration is not of this server')
      const origin = originOf(request)
      const account = await accounts.registerWithin(username, origin.network, attempt =>
        metadata.identities.register({ issuer, subject, label }, {
          account: { username, usernameKey: usernameKey(username) }, challenge: { id, expiresAt }, attempt
        }))
      securityLog.record({ kind: 'registered', account, ...origin })
      await signIn.noteSignIn(account, origin)
      return { account, factors: ['oidc'] }
    },

    /** Adds an identity to an account. @throws identity_taken, too_many_identities, and as `identify`. */
    async connect (account: AccountRecord, answer: ProviderAnswer, request: IdentityRequest): Promise<IdentityRecord> {
      const { identity, origin } = await identify(answer, { act: 'connect', account, request })
      const added = await metadata.identities.add(account, identity)
      securityLog.record({ kind: 'identity_connected', account, ...origin })
      return added
    },

    /** What `confirm` needs, for an account without a password. @throws password_present, and as `begin`. */
    async beginConfirmation (account: AccountRecord) {
      getProvider()
      refusePassword(account)
      return begin('confirm', account)
    },

    /**
     * A code that stands for the password, once, where {@link Identities.useCode} is asked.
     * @throws password_present, oidc_refused if it is another's identity, and as `identify`.
     */
    async confirm (account: AccountRecord, answer: ProviderAnswer, request: IdentityRequest): Promise<string> {
      getProvider()
      refusePassword(account)
      const { identity, claims, origin } = await identify(answer, { act: 'confirm', account, request })
      const isRecent = isRecentSignIn(claims, Date.now())
      const used = isRecent ? await ifNot('not_found', metadata.identities.use(identity, account.id)) : undefined
      if (used === undefined) {
        const reason = isRecent ? 'the identity is not of the account' : 'the sign-in is not recent'
        record(account, origin, reason, identity.subject)
        return refuse(reason)
      }
      const { code, hash } = createConfirmationCode()
      await metadata.identities.addCode(used, hash, CODE_MILLISECONDS)
      return code
    },

    /** The account with this name, which has confirmed and has no password. @throws credentials_wrong. */
    async useCode (username: string, code: string): Promise<SignedIn> {
      const accountId = await metadata.identities.useCode(hashCode(code))
      const account = accountId === undefined ? undefined : await metadata.accounts.find(accountId)
      const isRight = account?.usernameKey === findUsernameKey(username) && account?.passwordHash === NO_PASSWORD
      if (account === undefined || !isRight || account.disabledAt !== null) throw new Problem('credentials_wrong')
      return { account, factors: ['oidc'] }
    }
  }
}

function purposeOf (act: FlowPurpose, account: AccountRecord | undefined) {
  return ['oidc', act, account?.id ?? null] as const
}

/** A provider that does not tell the time is believed: it was asked for a sign-in that is recent. */
function isRecentSignIn ({ auth_time: time }: ProviderClaims, now: number): boolean {
  return time === undefined ||
    (typeof time === 'number' && now / 1000 - time <= CONFIRMATION_SECONDS + CLOCK_SECONDS)
}

/** @throws oidc_refused. The reason is for the log. */
function refuse (reason: string): never {
  throw new Problem('oidc_refused', { cause: new Error(reason) })
}
