import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import { originOf } from '../accounts/network.ts'
import type { SignIn } from '../accounts/sign-in.ts'
import { looksLikeToken } from '../accounts/username.ts'
import { type Caller, callerOf, countFieldLines, setCaller } from '../http/caller.ts'
import { handleError } from '../http/error-handler.ts'
import { refuseInsecurePassword, type Transport } from '../http/protection.ts'
import { addFailures } from '../openapi/responses.ts'
import { failures, Problem, type FailureCode } from '../problems.ts'
import { splitScopes, type Scope } from './scopes.ts'
import type { Tokens } from './tokens.ts'

/** What a scope takes as proof: the password alone, the password or a personal token, or any credential. */
export type CredentialKind = 'password' | 'password or personal token' | 'any'

export interface AuthenticateOptions {
  signIn: SignIn
  tokens: Tokens
  transport: Transport
}

/** What a scope asks for: a kind of proof, and what a token must be allowed. */
export interface AuthRequirement { credential: CredentialKind, scope?: Scope }

type Credentials = { kind: 'password', username: string, password: string } | { kind: 'token', token: string }

interface Reason { readonly error?: 'invalid_token', readonly cause?: unknown }

type SecurityRequirement = { [scheme: string]: string[] }

/**
 * Guards every route of a Fastify scope: who makes a request is decided before its body is read, once, for every scheme.
 * The same call writes the `security` of the scope's operations into the OpenAPI document.
 */
export function authenticate (guarded: FastifyInstance, { signIn, tokens, transport }: AuthenticateOptions, requirement: AuthRequirement): void {
  guarded.addHook('onRoute', route => {
    if (route.schema !== undefined) Object.assign(route.schema, requirementsOf(requirement))
    addFailures(route, failuresOf(requirement))
  })
  guarded.addHook('onRequest', async request => {
    const caller = await identify(request)
    refuseBeyondScope(caller, requirement)
    setCaller(request, caller)
  })
  if (requirement.credential === 'password') {
    // A body can be held back for as long as its sender likes, and must not carry a password past its end.
    guarded.addHook('preHandler', async request => {
      if (!await signIn.isCurrent(callerOf(request).account)) refuse('credentials_wrong', request)
    })
  }

  // A credential that ended while its request was under way is challenged like one that was refused at once.
  guarded.setErrorHandler((error: FastifyError | Problem, request, reply) => handleError(isUnchallenged(error) ? challenge(error.code, request, { ...(error.code === 'token_revoked' && { error: 'invalid_token' }), cause: error }) : error, request, reply))

  async function identify (request: FastifyRequest): Promise<Caller> {
    const credentials = credentialsOf(request)
    if (credentials === undefined) return refuse('credentials_missing', request)
    return credentials.kind === 'token' ? verifyToken(credentials.token, request) : verifyPassword(credentials, request)
  }

  async function verifyPassword (credentials: { username: string, password: string }, request: FastifyRequest): Promise<Caller> {
    refuseInsecurePassword(request, transport)
    const account = await signIn.verify(credentials, originOf(request)) ?? refuse('credentials_wrong', request)
    return { account, token: undefined }
  }

  async function verifyToken (text: string, request: FastifyRequest): Promise<Caller> {
    // What such a scope does not take is not looked at: a good token is refused like a bad one.
    if (requirement.credential === 'password') return refuse('password_required', request, { error: 'invalid_token' })
    try {
      const { token, account } = await tokens.verify(text)
      if (requirement.credential === 'password or personal token' && token.kind === 'access') throw new Problem('password_required')
      return { token, account }
    } catch (error) {
      if (error instanceof Problem && failures[error.code].status === 401) return refuse(error.code, request, { error: 'invalid_token', cause: error })
      throw error
    }
  }

  function credentialsOf (request: FastifyRequest): Credentials | undefined {
    const header = request.headers.authorization
    if (header === undefined) return undefined
    // Of several, which one counts must not depend on who reads them.
    const credentials = countFieldLines(request.raw, 'authorization') === 1 ? parse(header) : undefined
    return credentials ?? refuse('credentials_malformed', request)
  }

  function refuse (code: FailureCode, request: FastifyRequest, reason: Reason = {}): never {
    throw challenge(code, request, reason)
  }

  /** A 401 with the challenges that suit the scope and the client (RFC 9110 section 11.6.1). */
  function challenge (code: FailureCode, request: FastifyRequest, { error, cause }: Reason): Problem {
    // A challenge for Basic on a script's request makes a browser open its own login box over the page.
    const isScript = request.headers['sec-fetch-dest'] === 'empty'
    const takesTokens = requirement.credential !== 'password'
    const challenges = [
      ...(takesTokens || isScript ? [`Bearer realm="MagicStore"${error === undefined ? '' : `, error="${error}", error_description="${new Problem(code).message}"`}`] : []),
      ...(takesTokens ? ['Token realm="MagicStore"'] : []),
      // wget takes the last one.
      ...(isScript ? [] : ['Basic realm="MagicStore", charset="UTF-8"'])
    ]
    return new Problem(code, { headers: { 'www-authenticate': challenges }, cause })
  }
}

function isUnchallenged (error: FastifyError | Problem): error is Problem {
  return error instanceof Problem && failures[error.code].status === 401 && error.facts.headers === undefined
}

/** A password may do everything, a token what it was made for (RFC 6750 section 3.1). */
function refuseBeyondScope ({ token }: Caller, { scope }: AuthRequirement): void {
  if (scope === undefined || token === undefined || splitScopes(token.scopes).includes(scope)) return
  throw new Problem('insufficient_scope', {
    detail: `The token needs the scope ${scope}.`,
    headers: { 'www-authenticate': `Bearer realm="MagicStore", error="insufficient_scope", scope="${scope}"` }
  })
}

/** What the document says of a guarded operation: the schemes, and the scope that a token needs. */
function requirementsOf ({ credential, scope }: AuthRequirement): { security: SecurityRequirement[], 'x-required-scope'?: Scope } {
  const security: SecurityRequirement[] = credential === 'password' ? [{ basic: [] }] : [{ basic: [] }, { bearer: [] }, { token: [] }]
  // Not as roles of a scheme: only those of OAuth may have any in the eyes of most tools.
  return { security, ...(scope !== undefined && { 'x-required-scope': scope }) }
}

/** What a guarded route can answer to a credential, besides what it answers itself. */
function failuresOf ({ credential, scope }: AuthRequirement): FailureCode[] {
  return [
    'credentials_missing', 'credentials_malformed', 'credentials_wrong', 'tls_required', 'too_many_sign_ins', 'overloaded',
    ...(credential === 'password' ? [] : ['token_malformed', 'token_expired', 'token_revoked'] as const),
    ...(credential === 'any' ? [] : ['password_required'] as const),
    ...(scope === undefined ? [] : ['insufficient_scope'] as const)
  ]
}

/** Reads `Basic`, `Bearer` and `Token`, in any case of letters; undefined for what is none of them or not well formed. */
function parse (header: string): Credentials | undefined {
  const [, scheme = '', value = ''] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S+)$/.exec(header.trim()) ?? []
  switch (scheme.toLowerCase()) {
    case 'basic': return parseBasic(value)
    case 'bearer':
    case 'token': return { kind: 'token', token: value }
    default: return undefined
  }
}

/** RFC 7617 section 2: base64 of UTF-8, the username up to the first colon. A token may stand in for the username. */
function parseBasic (value: string): Credentials | undefined {
  const bytes = Buffer.from(value, 'base64')
  // Node's decoder passes over what is not base64; its own encoding of the result tells (padding may be left out).
  if (bytes.toString('base64').replace(/=+$/, '') !== value.replace(/={1,2}$/, '')) return undefined
  const text = decodeUtf8(bytes)
  const colon = text?.indexOf(':') ?? -1
  if (text === undefined || colon === -1) return undefined
  const username = text.slice(0, colon)
  return looksLikeToken(username)
    ? { kind: 'token', token: username }
    : { kind: 'password', username, password: text.slice(colon + 1) }
}

/** The text of bytes that are UTF-8, whole and exact; undefined for others. */
function decodeUtf8 (bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
