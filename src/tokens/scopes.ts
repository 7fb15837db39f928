import { Problem } from '../problems.ts'

/** The scopes of a token. A password, and an access token created with one, has all of them. */
export const scopes = ['files:read', 'files:write', 'account', 'links'] as const

export type Scope = typeof scopes[number]

/** Scopes as they are stored: separated by spaces (RFC 6749 section 3.3), in the order of `scopes`. */
export function joinScopes (granted: readonly Scope[]): string {
  return scopes.filter(scope => granted.includes(scope)).join(' ')
}

export function splitScopes (stored: string): Scope[] {
  return scopes.filter(scope => hasScope(stored, scope))
}

export function hasScope (stored: string, scope: Scope): boolean {
  return stored.split(' ').includes(scope)
}

/** Refuses a token without a scope (RFC 6750 section 3.1). A password has every scope. @throws insufficient_scope. */
export function requireScope (token: { readonly scopes: string } | undefined, scope: Scope): void {
  if (token === undefined || hasScope(token.scopes, scope)) return
  throw new Problem('insufficient_scope', {
    detail: `The token needs the scope ${scope}.`,
    headers: { 'www-authenticate': `Bearer realm="MagicStore", error="insufficient_scope", scope="${scope}"` }
  })
}
