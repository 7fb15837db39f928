import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { UsernameAndPassword } from '../accounts/accounts.ts'
import { originOf } from '../accounts/network.ts'
import { findUsernameKey, looksLikeToken } from '../accounts/username.ts'
import { type Caller, callerOf, countFieldLines, oneTimeCodeOf, setCaller } from '../http/caller.ts'
import type { CredentialKind } from '../http/error-handler.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import { addFailures } from '../openapi/responses.ts'
import { Problem, type FailureCode } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { factorsOf, requireScope, type Scope } from './tokens.ts'

/**
 * What the routes of a Fastify scope require: a kind of credential, and the scope that a token needs. `factor` says how
 * routes differ from others that take a password: on those of the `setup` a password is enough without a second factor
 * even if one is required; those of the `first step` of a sign-in need no code; those with `identity or password` take
 * a code that an identity has confirmed in place of the password of an account without one.
 */
export interface AuthRequirement {
  credential: CredentialKind
  scope?: Scope
  factor?: 'setup' | 'first step' | 'identity or password'
}

type Credentials = { kind: 'password' } & UsernameAndPassword | { kind: 'token', token: string }

/**
 * Authenticates every request in a Fastify scope, whatever the scheme, before its body is read.
 * It also writes the `security` of the scope's operations into the OpenAPI document.
 */
export function authenticate (
  guarded: FastifyInstance, { signIn, tokens, identities, config }: AppServices, requirement: AuthRequirement
): void {
  const { credential, scope, factor } = requirement

  guarded.addHook('onRoute', route => {
    route.config = Object.assign({}, route.config, { credential })
    if (route.schema !== undefined) Object.assign(route.schema, requirementsOf(requirement))
    addFailures(route, failuresOf(requirement))
  })
  guarded.addHook('onRequest', async request => {
    const credentials = credentialsOf(request)
    const caller = await verify(credentials, request)
    if (scope !== undefined) requireScope(caller.token, scope)
    setCaller(request, caller)
  })
  if (credential === 'password') {
    // A client can delay its body for a long time: the password may have changed since the headers were checked.
    guarded.addHook('preHandler', async request => {
      if (!await signIn.isCurrent(callerOf(request).account)) throw new Problem('credentials_wrong')
    })
  }

  function verify (credentials: Credentials, request: FastifyRequest): Promise<Caller> {
    if (credentials.kind === 'token') return verifyToken(credentials.token)
    return credential === 'token' ? verifyOwnToken(credentials) : verifyPassword(credentials, request)
  }

  /** The password is a token of the account with this name. Nothing is hashed or counted. */
  async function verifyOwnToken ({ username, password }: UsernameAndPassword): Promise<Caller> {
    const caller = looksLikeToken(password) ? await verifyToken(password) : undefined
    if (caller !== undefined && findUsernameKey(username) === caller.account.usernameKey) return caller
    throw new Problem('token_required')
  }

  async function verifyPassword (credentials: UsernameAndPassword, request: FastifyRequest): Promise<Caller> {
    refuseInsecurePassword(request, config)
    const code = oneTimeCodeOf(request)
    if (factor === 'identity or password' && credentials.password === '' && code !== undefined) {
      return { ...await identities.useCode(credentials.username, code), token: undefined }
    }
    const signedIn = await (factor === 'first step'
      ? signIn.verifyFirstStep(credentials, originOf(request))
      : signIn.verify({ ...credentials, code }, originOf(request)))
    if (signedIn === undefined) throw new Problem('credentials_wrong')
    const isMissing = config.secondFactor === 'required' && signedIn.account.factorCount === 0
    if (isMissing && factor !== 'setup') throw new Problem('second_factor_setup_required')
    return { ...signedIn, token: undefined }
  }

  async function verifyToken (text: string): Promise<Caller> {
    // Not verified: valid and invalid tokens get the same response.
    if (credential === 'password') throw new Problem('password_required')
    const { token, account } = await tokens.verify(text)
    if (credential === 'password or personal token' && token.kind === 'access') throw new Problem('password_required')
    return { token, account, factors: factorsOf(token) }
  }
}

/** What the OpenAPI document says about an operation: the security schemes, and the scope that a token needs. */
function requirementsOf ({ credential, scope, factor }: AuthRequirement) {
  const security: { [scheme: string]: string[] }[] = [
    { basic: [] },
    ...(factor === 'first step' ? [] : [{ basic: [], oneTimeCode: [] }]),
    ...(credential === 'password' ? [] : [{ bearer: [] }, { token: [] }])
  ]
  // Not listed under the scheme: most tools allow scopes there for OAuth only.
  return { security, ...(scope !== undefined && { 'x-required-scope': scope }) }
}

/** The failures that authentication adds to those of a route. */
function failuresOf ({ credential, scope, factor }: AuthRequirement): FailureCode[] {
  return [
    'credentials_missing', 'credentials_malformed', 'credentials_wrong', 'tls_required', 'too_many_sign_ins',
    'overloaded',
    ...(factor === 'first step'
      ? []
      : ['second_factor_required', 'second_factor_wrong', 'too_many_codes', 'storage_full'] as const),
    ...(factor === 'setup' ? [] : ['second_factor_setup_required'] as const),
    ...(credential === 'password'
      ? []
      : ['token_malformed', 'token_expired', 'token_revoked', 'sign_in_required'] as const),
    ...(credential === 'any' ? [] : ['password_required'] as const),
    ...(scope === undefined ? [] : ['insufficient_scope'] as const)
  ]
}

/** @throws credentials_missing, credentials_malformed. */
function credentialsOf ({ headers: { authorization }, raw }: FastifyRequest): Credentials {
  if (authorization === undefined) throw new Problem('credentials_missing')
  // Proxies and servers disagree on which of several lines counts.
  const credentials = countFieldLines(raw, 'authorization') === 1 ? parse(authorization) : undefined
  if (credentials === undefined) throw new Problem('credentials_malformed')
  return credentials
}

/** Parses `Basic`, `Bearer` and `Token`, case-insensitively; undefined for other schemes and malformed values. */
function parse (header: string): Credentials | undefined {
  const [, scheme = '', value = ''] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S+)$/.exec(header.trim()) ?? []
  switch (scheme.toLowerCase()) {
    case 'basic': return parseBasic(value)
    case 'bearer':
    case 'token': return { kind: 'token', token: value }
    default: return undefined
  }
}

/** RFC 7617 section 2: base64 of UTF-8, split at the first colon. The username may be a token. */
function parseBasic (value: string): Credentials | undefined {
  const bytes = Buffer.from(value, 'base64')
  // Node's decoder skips invalid characters, so compare with the encoded result; padding is optional.
  if (bytes.toString('base64').replace(/=+$/, '') !== value.replace(/={1,2}$/, '')) return undefined
  const text = bytes.toString()
  const colon = text.indexOf(':')
  if (!isUtf8(bytes) || colon === -1) return undefined
  const username = text.slice(0, colon)
  return looksLikeToken(username)
    ? { kind: 'token', token: username }
    : { kind: 'password', username, password: text.slice(colon + 1) }
}
