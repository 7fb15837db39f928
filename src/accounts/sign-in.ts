import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord, Attempt, AttemptLimit, AttemptOutcome } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { UsernameAndPassword } from './accounts.ts'
import { attemptKey, type AttemptLimiter } from './attempt-limiter.ts'
import type { SecurityLog } from './events.ts'
import type { Origin } from './network.ts'
import type { Passwords } from './password.ts'
import { findUsernameKey } from './username.ts'

/** The window in which failures are counted. */
export const SIGN_IN_WINDOW_SECONDS = 15 * 60

/** A network may fail this many times as often as one account may fail from it: many users can share a network. */
export const NETWORK_FACTOR = 10

/** Failures on one account, from networks it has never signed in from, before such networks are refused for it. */
export const UNKNOWN_NETWORK_FAILURES = 100

interface SignInOptions {
  metadata: Metadata
  passwords: Passwords
  attemptLimiter: AttemptLimiter
  securityLog: SecurityLog
  /** Failures allowed on one account from one network. */
  maxFailures: number
}

/** A sign-in under way; its failure is counted by these values. */
type SignInAttempt = Omit<Attempt, 'at'>

/** Checks usernames and passwords, within the limits of failed sign-ins. */
export class SignIn {
  readonly #options: SignInOptions

  constructor (options: SignInOptions) {
    this.#options = options
  }

  /**
   * Returns the account with this username and password, and records the sign-in or its failure as a security event.
   * Undefined if the username is unknown, the password is wrong or the account is disabled: each takes the same time
   * and counts as a failure.
   * @throws too_many_sign_ins before any hashing, overloaded.
   */
  async verify ({ username, password }: UsernameAndPassword, origin: Origin): Promise<AccountRecord | undefined> {
    const { metadata, attemptLimiter, securityLog, maxFailures } = this.#options
    const { network } = origin
    // Invalid usernames belong to no account and are counted together.
    const usernameKey = findUsernameKey(username) ?? ''
    const isKnownNetwork = await metadata.attempts.isKnownNetwork(usernameKey, network)
    const attempt = { kind: 'sign_in', network, usernameKey: attemptKey(usernameKey), isKnownNetwork } as const
    const finish = await attemptLimiter.acquire(attempt, limitsFor(attempt, maxFailures), 'too_many_sign_ins')
    let outcome: AttemptOutcome = 'released'
    try {
      const account = await metadata.accounts.findByKey(usernameKey)
      const verified = await this.#verifyPassword(account, password)
      outcome = verified === undefined ? 'failed' : 'succeeded'
      if (verified !== undefined && !isKnownNetwork) {
        await metadata.attempts.addKnownNetwork(verified.id, network, Date.now()).catch(() => {})
      }
      const kind = verified === undefined ? 'sign_in_failed' : isKnownNetwork ? 'sign_in' : 'sign_in_new_network'
      securityLog.record({ kind, account, ...origin })
      return verified
    } finally {
      await finish(outcome)
    }
  }

  /** Whether an account that signed in earlier still exists, is not disabled and has the same password. */
  async isCurrent ({ id, passwordHash }: AccountRecord): Promise<boolean> {
    const current = await this.#options.metadata.accounts.find(id)
    return current?.passwordHash === passwordHash && current.disabledAt === null
  }

  async #verifyPassword (account: AccountRecord | undefined, password: string): Promise<AccountRecord | undefined> {
    const { passwords } = this.#options
    // An unknown username is hashed like a known one, so that the response time does not reveal which usernames exist.
    const isRight = await passwords.verify(password, account?.passwordHash)
    if (account === undefined || !isRight || account.disabledAt !== null) return undefined
    return passwords.isOutdated(account.passwordHash) ? this.#rehash(account, password) : account
  }

  /** Replaces a hash made with older parameters. If it can't be stored now, the next sign-in tries again. */
  async #rehash (account: AccountRecord, password: string): Promise<AccountRecord | undefined> {
    const { metadata: { accounts }, passwords } = this.#options
    const { id, passwordHash: expectedHash } = account
    const passwordHash = await passwords.hash(password.normalize('NFC'))
    try {
      await accounts.setPasswordHash(id, passwordHash, { revokesTokens: false, expectedHash })
      return { ...account, passwordHash }
    } catch (error) {
      const isReplaced = error instanceof Problem && error.code === 'credentials_wrong'
      // Either a concurrent sign-in has rehashed it, or the password has been changed.
      return isReplaced ? this.#verifyPassword(await accounts.find(id), password) : account
    }
  }
}

function limitsFor ({ network, usernameKey, isKnownNetwork }: SignInAttempt, maxFailures: number): AttemptLimit[] {
  const seconds = SIGN_IN_WINDOW_SECONDS
  const limits: AttemptLimit[] = [
    { matching: { kind: 'sign_in', network, usernameKey }, limit: maxFailures, seconds },
    { matching: { kind: 'sign_in', network }, limit: maxFailures * NETWORK_FACTOR, seconds }
  ]
  // Networks the account has signed in from are exempt: an attacker elsewhere can't lock the owner out.
  if (isKnownNetwork) return limits
  return [...limits, { matching: { kind: 'sign_in', usernameKey, isKnownNetwork }, limit: UNKNOWN_NETWORK_FAILURES, seconds }]
}
