/** What limits count. */
export const attemptKinds = [
  'sign_in', 'second_factor', 'registration', 'link_password', 'oidc', 'connection_code'
] as const

/**
 * A sign-in, a one-time code, a registration, the password of a link or the code of a connection, counted by its
 * network and its username; of a link, by the link; of a connection, by the username alone. What a provider says is
 * counted by the network alone.
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
 * Granted, with its id; refused for `retrySeconds`, because a limit is reached; or busy, because the
 * attempts under way may still reach one.
 */
export type BegunAttempt =
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
