import type { FactorState } from './records.ts'

/** What limits count. */
export const attemptKinds = ['sign_in', 'second_factor', 'registration', 'link_password'] as const

/**
 * A sign-in, a one-time code, a registration or the password of a link, counted by its network and its username; of a
 * link, by the link.
 */
export interface Attempt {
  readonly kind: typeof attemptKinds[number]
  readonly network: string
  /** A digest of the normalised username, whether an account has it or not. */
  readonly usernameKey: string
  readonly isKnownNetwork: boolean
  readonly at: number
}

/** `at` is now by default. */
export type NewAttempt = Omit<Attempt, 'at'> & { readonly at?: number }

/**
 * Which attempts are counted together: all from a network, those for a username from a network, or those for a username
 * from its known networks, or from all others.
 */
export type AttemptFilter =
  | { readonly kind: Attempt['kind'], readonly network: string }
  | { readonly kind: Attempt['kind'], readonly network: string, readonly usernameKey: string }
  | { readonly kind: Attempt['kind'], readonly usernameKey: string, readonly isKnownNetwork: boolean }

/** At most `limit` matching failures within `seconds`. */
export interface AttemptLimit { readonly matching: AttemptFilter, readonly limit: number, readonly seconds: number }

/**
 * Granted, with the id of the claim; refused for `retrySeconds`, because a limit is reached; or busy, because the
 * attempts under way may still reach one.
 */
export type AttemptClaim =
  | { readonly state: 'granted', readonly id: number }
  | { readonly state: 'refused', readonly retrySeconds: number }
  | { readonly state: 'busy' }

/** The times of the attempts that a limit can still count; `limit` rows are deleted at most. */
export interface AttemptRange {
  readonly since: number
  /** Of wrong codes: their limit has a longer window. */
  readonly codesSince: number
  readonly until: number
  readonly limit: number
}

/** `released`: neither a failure nor a success. */
export type AttemptOutcome = 'failed' | 'succeeded' | 'released'

/**
 * Failed sign-ins, wrong codes and registrations, which limits count, and the networks that accounts are known to use.
 */
export interface AttemptRepository {
  /**
   * Decides whether an attempt may go on, and if so claims its place under each limit, in one transaction: parallel
   * attempts can't exceed a limit. A claim lapses with the process that made it. Attempts in the future are from before
   * the clock was set back, and do not count.
   */
  claim (attempt: NewAttempt, limits: readonly AttemptLimit[]): Promise<AttemptClaim>
  /**
   * Ends a claim and applies its outcome, in one transaction: a failure is recorded, a success deletes the failures
   * of its kind for that username from that network. A failure that can't be recorded (full disk) still counts.
   */
  finish (claimId: number, outcome: AttemptOutcome): Promise<void>
  /**
   * Deletes up to `limit` attempts before `since` or after `until`, wrong codes before `codesSince`, which is earlier;
   * true if there may be more.
   */
  removeOutside (range: AttemptRange): Promise<boolean>
  isKnownNetwork (usernameKey: string, network: string): Promise<boolean>
  /** Records that an account signed in from a network; true if it is the first time. */
  addKnownNetwork (account: FactorState, network: string, at: number): Promise<boolean>
}
