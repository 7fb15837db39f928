import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import type { UsernameAndPassword } from '../accounts/accounts.ts'
import { originOf } from '../accounts/network.ts'
import type { SignIn } from '../accounts/sign-in.ts'
import { findUsernameKey, looksLikeToken } from '../accounts/username.ts'
import { type Caller, callerOf, countFieldLines, setCaller } from '../http/caller.ts'
import { sendProblem } from '../http/error-handler.ts'
import { refuseInsecurePassword, type Transport } from '../http/protection.ts'
import { addFailures } from '../openapi/responses.ts'
import { failures, Problem, type FailureCode } from '../problems.ts'
import type { AccessTokens } from './jwt.ts'
import { hasScope, type Scope } from './scopes.ts'
import type { Tokens } from './tokens.ts'

/**
 * Which credentials the routes of a Fastify scope accept. With `token`, Basic may have it as the password too, because
 * some clients ask for a name.
 */
type CredentialKind = 'password' | 'password or personal token' | 'any' | 'token'

export interface AuthenticateOptions {
  signIn: SignIn
  tokens: Tokens
  accessTokens: AccessTokens
  transport: Transport
}

/**
 * What the routes of a Fastify scope require: a kind of credential, and the scope that a token needs. `answer` sends
 * their problems, `sendProblem` by default.
 */
interface AuthRequirement { credential: CredentialKind, scope?: Scope, answer?: typeof sendProblem }

type Credentials = { kind: 'password' } & UsernameAndPassword | { kind: 'token', token: string }

type SecurityRequirement = { [scheme: string]: string[] }

const BASIC = 'Basic realm="MagicStore", charset="UTF-8"'

/** Where only tokens are accepted, all else gets the same answer. */
const TOKEN_NEEDED = 'Use a personal token as the password: create one on the page of the account, or with POST /api/tokens.'

/** Failures of a token itself, for `error="invalid_token"` (RFC 6750 section 3.1). */
const INVALID_TOKEN = new Set<FailureCode>(['password_required', 'token_malformed', 'token_expired', 'token_revoked'])

/**
 * Authenticates every request in a Fastify scope, whatever the scheme, before its body is read.
 * It also writes the `security` of the scope's operations into the OpenAPI document.
 */
export function authenticate (
  guarded: FastifyInstance, options: AuthenticateOptions, requirement: AuthRequirement
): void {
  const { signIn, tokens, accessTokens, transport } = options
  const { credential, answer = sendProblem } = requirement

  guarded.addHook('onRoute', route => {
    if (route.schema !== undefined) Object.assign(route.schema, requirementsOf(requirement))
    addFailures(route, failuresOf(requirement))
  })
  guarded.addHook('onRequest', async request => {
    const credentials = credentialsOf(request)
    const caller = await verify(credentials, request)
    requireScope(caller, requirement)
    setCaller(request, caller)
  })
  if (credential === 'password') {
    // A client can delay its body for a long time: the password may have changed since the headers were checked.
    guarded.addHook('preHandler', async request => {
      if (!await signIn.isCurrent(callerOf(request).account)) throw new Problem('credentials_wrong')
    })
  }
  // Also for a credential that is revoked during its request.
  guarded.setErrorHandler((error: FastifyError | Problem, request, reply) =>
    answer(isUnauthorized(error) ? challenge(error, request, credential) : error, request, reply))

  function verify (credentials: Credentials, request: FastifyRequest): Promise<Caller> {
    if (credentials.kind === 'token') return verifyToken(credentials.token, request)
    return credential === 'token' ? verifyOwnToken(credentials, request) : verifyPassword(credentials, request)
  }

  /** The password is a token of the account with this name. Nothing is hashed or counted. */
  async function verifyOwnToken (
    { username, password }: UsernameAndPassword, request: FastifyRequest
  ): Promise<Caller> {
    const caller = looksLikeToken(password) ? await verifyToken(password, request) : undefined
    if (caller === undefined || findUsernameKey(username) !== caller.account.usernameKey) throw new Problem('token_required')
    return caller
  }

  async function verifyPassword (credentials: UsernameAndPassword, request: FastifyRequest): Promise<Caller> {
    refuseInsecurePassword(request, transport)
    const account = await signIn.verify(credentials, originOf(request))
    if (account === undefined) throw new Problem('credentials_wrong')
    return { account, token: undefined }
  }

  async function verifyToken (text: string, request: FastifyRequest): Promise<Caller> {
    // Not verified: valid and invalid tokens get the same response.
    if (credential === 'password') throw new Problem('password_required')
    const { token, account } = await tokens.verify(text, text => accessTokens.verify(request, text))
    if (credential === 'password or personal token' && token.kind === 'access') throw new Problem('password_required')
    return { token, account }
  }
}

/** A 401 with challenges for the accepted credentials and the kind of client (RFC 9110 section 11.6.1). */
function challenge (error: Problem, request: FastifyRequest, credential: CredentialKind): Problem {
  const { code } = error
  if (credential === 'token') {
    return new Problem('token_required', { detail: TOKEN_NEEDED, headers: { 'www-authenticate': BASIC }, cause: error })
  }
  // On a Basic challenge to a script's request, browsers open their own login dialog over the page.
  const isScript = request.headers['sec-fetch-dest'] === 'empty'
  const acceptsTokens = credential !== 'password'
  const reason = INVALID_TOKEN.has(code) ? `, error="invalid_token", error_description="${failures[code].title}"` : ''
  const challenges = [
    ...(acceptsTokens || isScript ? [`Bearer realm="MagicStore"${reason}`] : []),
    ...(acceptsTokens ? ['Token realm="MagicStore"'] : []),
    // Last, because wget uses the last challenge.
    ...(isScript ? [] : [BASIC])
  ]
  return new Problem(code, { headers: { 'www-authenticate': challenges }, cause: error })
}

function isUnauthorized (error: unknown): error is Problem {
  return error instanceof Problem && failures[error.code].status === 401
}

/** A password has every scope, a token those it was created with (RFC 6750 section 3.1). */
function requireScope ({ token }: Caller, { scope }: AuthRequirement): void {
  if (scope === undefined || token === undefined || hasScope(token.scopes, scope)) return
  throw new Problem('insufficient_scope', {
    detail: `The token needs the scope ${scope}.`,
    headers: { 'www-authenticate': `Bearer realm="MagicStore", error="insufficient_scope", scope="${scope}"` }
  })
}

/** What the OpenAPI document says about an operation: the security schemes, and the scope that a token needs. */
function requirementsOf ({ credential, scope }: AuthRequirement): { security: SecurityRequirement[], 'x-required-scope'?: Scope } {
  const security: SecurityRequirement[] = credential === 'password' ? [{ basic: [] }] : [{ basic: [] }, { bearer: [] }, { token: [] }]
  // Not listed under the scheme: most tools allow scopes there for OAuth only.
  return { security, ...(scope !== undefined && { 'x-required-scope': scope }) }
}

/** The failures that authentication adds to those of a route. */
function failuresOf ({ credential, scope }: AuthRequirement): FailureCode[] {
  return [
    'credentials_missing', 'credentials_malformed', 'credentials_wrong', 'tls_required', 'too_many_sign_ins', 'overloaded',
    ...(credential === 'password' ? [] : ['token_malformed', 'token_expired', 'token_revoked'] as const),
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
  const text = decodeUtf8(bytes)
  const colon = text?.indexOf(':') ?? -1
  if (text === undefined || colon === -1) return undefined
  const username = text.slice(0, colon)
  return looksLikeToken(username)
    ? { kind: 'token', token: username }
    : { kind: 'password', username, password: text.slice(colon + 1) }
}

/** Undefined if the bytes are not valid UTF-8. */
function decodeUtf8 (bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
