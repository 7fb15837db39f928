import { ignoreMissing, loadAll, request } from '../requests.ts'
import { hasLinks } from '../settings.ts'

export type Token = Awaited<ReturnType<typeof loadTokens>>[number]
export type Scope = Token['scopes'][number]

export interface NewToken { readonly name: string, readonly scopes: Scope[], readonly expiresAt: string | null }

/** What a personal token may be allowed to do. */
export const scopes: readonly Scope[] = ['files:read', 'files:write', 'account', ...hasLinks ? ['links' as const] : []]

/** Personal tokens and sessions, newest first. The server lists access tokens as well. */
export async function loadTokens () {
  const tokens = await loadAll('tokens', (api, query) => api.GET('/api/tokens', { params: { query } }))
  return tokens.filter(({ kind }) => kind !== 'access')
}

/** Ends a personal token or a session. It may have ended already. */
export async function revoke (id: number): Promise<void> {
  await request(api => api.DELETE('/api/tokens/{id}', { params: { path: { id } } })).catch(ignoreMissing)
}

/** Ends all personal tokens and sessions, including this one. */
export async function revokeAll (): Promise<void> {
  await request(api => api.DELETE('/api/tokens'))
}

/** The lifetimes that a new token can have. */
export const lifetimes = ['30 days', '90 days', 'year', 'date', 'never'] as const
