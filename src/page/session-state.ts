import { signal } from '@preact/signals'

/**
 * `loading` until the server has answered; `unreachable` if it does not; `none` if no user is signed in. `ended`: the
 * session of this user ended while the page was in use. The page then stays as it is until the same user signs in
 * again, so that nothing is lost.
 */
export type SessionState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreachable', readonly error: unknown }
  | { readonly kind: 'open' | 'ended' } & SessionOwner

/** Whose session it is. `hasPassword`: without one, only the identity provider signs this user in. */
export interface SessionOwner {
  readonly username: string
  readonly hasPassword: boolean
  readonly sessionId: number
}

/** Whether a user is signed in. */
export const session = signal<SessionState>({ kind: 'loading' })

/** The name of the signed-in user; empty if there is none. */
export function usernameOf (state: SessionState): string {
  return 'username' in state ? state.username : ''
}

/** The id of the session; undefined if no user is signed in. */
export function sessionIdOf (state: SessionState): number | undefined {
  return 'sessionId' in state ? state.sessionId : undefined
}
