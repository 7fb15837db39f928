import type { Attempt, AttemptLimit, AttemptOutcome } from '../metadata/attempt-records.ts'
import type { AccountRecord, Factor, VerifiedAccount } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import type { UsernameAndPassword } from './accounts.ts'
import { attemptKey } from './attempt-limiter.ts'
import type { Origin } from './network.ts'
import { findUsernameKey } from './username.ts'

/** The window in which failures are counted. */
export const SIGN_IN_WINDOW_SECONDS = 15 * 60

/** A network may fail this many times as often as one account may fail from it: many users can share a network. */
export const NETWORK_FACTOR = 10

/** Failures on one account, from networks it has never signed in from, before such networks are refused for it. */
export const UNKNOWN_NETWORK_FAILURES = 100

/** Where a code comes from, and whether the account has signed in from there before. */
export interface CodeOrigin extends Origin { readonly isKnownNetwork: boolean }

/** What a person sends to sign in; `code` is undefined if it is missing. */
export interface SignInCredentials extends UsernameAndPassword { code: string | undefined }

/** An account, and the factors that were verified. */
export interface SignedIn { readonly account: AccountRecord, readonly factors: readonly Factor[] }

export type SignIn = ReturnType<typeof createSignIn>

/** Checks usernames, passwords and second factors, within the limits of failed sign-ins. */
export function createSignIn (
  { attemptLimiter, config, metadata, passwords, secondFactor, securityLog }:
  Pick<AppServices, 'attemptLimiter' | 'config' | 'metadata' | 'passwords' | 'secondFactor' | 'securityLog'>
) {
  async function checkCode (account: AccountRecord, code: string | undefined, origin: CodeOrigin): Promise<Factor> {
    if (code === undefined) {
      recordMissing(account, origin)
      throw new Problem('second_factor_required', { members: { factors: await factorsOf(account) } })
    }
    return secondFactor.use(account, code, origin)
  }

  /** What the account can show beside its password, which was right. */
  async function factorsOf ({ id }: AccountRecord): Promise<Factor[]> {
    const { totp, passkeys, recoveryCodes } = await metadata.factors.list(id)
    return [
      ...totp === null ? [] : ['totp' as const],
      ...passkeys.length === 0 ? [] : ['passkey' as const],
      ...recoveryCodes === 0 ? [] : ['recovery_code' as const]
    ]
  }

  /** A thief of the password begins without a code. Owners do so too, but mostly from known networks. */
  function recordMissing (account: AccountRecord, { isKnownNetwork, ...origin }: CodeOrigin) {
    if (!isKnownNetwork) securityLog.record({ kind: 'second_factor_missing', account, ...origin })
  }

  /** Verifies a password, and then the second factor by `useFactor`, which returns what was shown. */
  async function attempt (
    { username, password }: UsernameAndPassword,
    origin: Origin,
    useFactor: (account: AccountRecord, isKnownNetwork: boolean) => Promise<readonly Factor[]>
  ): Promise<SignedIn | undefined> {
    const { network } = origin
    // Invalid usernames belong to no account and are counted together.
    const usernameKey = findUsernameKey(username) ?? ''
    const isKnownNetwork = await metadata.attempts.isKnownNetwork(usernameKey, network)
    const attempt = { kind: 'sign_in', network, usernameKey: attemptKey(usernameKey), isKnownNetwork } as const
    const limits = passwordLimits(attempt, config.signInFailures)
    const finish = await attemptLimiter.acquire(attempt, limits, 'too_many_sign_ins')
    let outcome: AttemptOutcome = 'released'
    try {
      const account = await metadata.accounts.findByKey(usernameKey)
      const verified = await verifyPassword(account, password)
      if (verified === undefined) {
        outcome = 'failed'
        securityLog.record({ kind: 'sign_in_failed', account, ...origin })
        return undefined
      }
      const second = await useFactor(verified, isKnownNetwork)
      const signedIn = { account: verified, factors: ['password' as const, ...second] }
      // A stolen password clears no failures, and makes no network known.
      if (verified.factorCount > 0 && second.length === 0) {
        recordMissing(verified, { ...origin, isKnownNetwork })
        return signedIn
      }
      outcome = 'succeeded'
      if (!isKnownNetwork) await metadata.attempts.addKnownNetwork(verified, network, Date.now()).catch(() => {})
      securityLog.record({ kind: isKnownNetwork ? 'sign_in' : 'sign_in_new_network', account, ...origin })
      return signedIn
    } finally {
      await finish(outcome)
    }
  }

  async function verifyPassword (
    account: AccountRecord | undefined, password: string
  ): Promise<AccountRecord | undefined> {
    // An unknown username is hashed like a known one, so that the response time does not reveal which usernames exist.
    const isRight = await passwords.verify(password, account?.passwordHash)
    if (account === undefined || !isRight || account.disabledAt !== null) return undefined
    return passwords.isOutdated(account.passwordHash) ? rehash(account, password) : account
  }

  /** Replaces a hash made with older parameters. If it can't be stored now, the next sign-in tries again. */
  async function rehash (account: AccountRecord, password: string): Promise<AccountRecord | undefined> {
    const { accounts } = metadata
    const passwordHash = await passwords.hash(password.normalize('NFC'))
    try {
      await accounts.setPasswordHash(account, passwordHash, { revokesTokens: false })
      return { ...account, passwordHash }
    } catch (error) {
      const isReplaced = error instanceof Problem && error.code === 'credentials_wrong'
      // Either a concurrent sign-in has rehashed it, or the password or a factor has been changed.
      return isReplaced ? verifyPassword(await accounts.find(account.id), password) : account
    }
  }

  return {
    /**
     * Returns the account with this username, password and second factor, and records the sign-in or its failure as a
     * security event. Undefined if the username is unknown, the password is wrong or the account is disabled: each
     * takes the same time and counts as a failure. A missing or wrong code is neither a failure nor a success.
     * @throws too_many_sign_ins before any hashing, overloaded; after a right password second_factor_required and what
     * the second factor throws.
     */
    verify ({ code, ...credentials }: SignInCredentials, origin: Origin): Promise<SignedIn | undefined> {
      return attempt(credentials, origin, async (account, isKnownNetwork) =>
        account.factorCount === 0 ? [] : [await checkCode(account, code, { ...origin, isKnownNetwork })])
    },

    /**
     * The same for a request that is the first step of a sign-in: it needs no code. If the account has a second factor,
     * it is not a sign-in yet.
     */
    verifyFirstStep (credentials: UsernameAndPassword, origin: Origin): Promise<SignedIn | undefined> {
      return attempt(credentials, origin, async () => [])
    },

    /** Uses a code for a request that no password precedes. @throws as {@link SignIn.verify}. */
    async useCode (account: AccountRecord, code: string | undefined, origin: Origin): Promise<void> {
      const isKnownNetwork = await metadata.attempts.isKnownNetwork(account.usernameKey, origin.network)
      await checkCode(account, code, { ...origin, isKnownNetwork })
    },

    /** Records a sign-in without a password, and the network that it came from. */
    async noteSignIn (account: AccountRecord, origin: Origin): Promise<void> {
      const isNew = await metadata.attempts.addKnownNetwork(account, origin.network, Date.now())
      securityLog.record({ kind: isNew ? 'sign_in_new_network' : 'sign_in', account, ...origin })
    },

    /** Whether an account that signed in earlier still exists, is enabled, and has the same password and factors. */
    async isCurrent ({ id, passwordHash, factorVersion }: VerifiedAccount): Promise<boolean> {
      const current = await metadata.accounts.find(id)
      return current?.passwordHash === passwordHash && current.factorVersion === factorVersion &&
        current.disabledAt === null
    }
  }
}

/** The limit of the failures of a network, on whatever accounts. */
export function networkLimit ({ kind, network }: Pick<Attempt, 'kind' | 'network'>, maxFailures: number): AttemptLimit {
  return { matching: { kind, network }, limit: maxFailures * NETWORK_FACTOR, seconds: SIGN_IN_WINDOW_SECONDS }
}

/** The limits of wrong passwords: of one account or link from one network, of a network, and from unknown networks. */
export function passwordLimits (
  { kind, network, usernameKey, isKnownNetwork }: Omit<Attempt, 'at'>, maxFailures: number
): AttemptLimit[] {
  const seconds = SIGN_IN_WINDOW_SECONDS
  const limits: AttemptLimit[] = [
    { matching: { kind, network, usernameKey }, limit: maxFailures, seconds },
    networkLimit({ kind, network }, maxFailures)
  ]
  // Networks with a right password before are exempt: an attacker elsewhere can't lock the owner or the visitors out.
  if (isKnownNetwork) return limits
  return [...limits, { matching: { kind, usernameKey, isKnownNetwork }, limit: UNKNOWN_NETWORK_FAILURES, seconds }]
}
