/** What a token may be allowed; a password, and a token issued for one, may do all of it. */
export const scopes = ['files:read', 'files:write', 'account'] as const

export type Scope = typeof scopes[number]

/** Scopes as they are stored: separated by spaces, in their order here (RFC 6749 section 3.3). */
export function joinScopes (granted: readonly Scope[]): string {
  return scopes.filter(scope => granted.includes(scope)).join(' ')
}

export function splitScopes (stored: string): Scope[] {
  return scopes.filter(scope => stored.split(' ').includes(scope))
}
