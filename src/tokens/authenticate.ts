import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Accounts } from '../accounts/accounts.ts'
import { looksLikeToken } from '../accounts/username.ts'
import { prepareCaller, setCaller, type Caller } from '../caller.ts'
import { Problem, type FailureCode } from '../errors.ts'
import type { Tokens } from './tokens.ts'

/** What a scope takes as proof: a password alone, or a token as well. */
export type Proof = 'password' | 'any'

export interface AuthenticateOptions {
  accounts: Accounts
  tokens: Tokens
  proof: Proof
}

type Credentials = { kind: 'password', username: string, password: string } | { kind: 'token', token: string }

type SecurityRequirement = { [scheme: string]: string[] }

const security: Record<Proof, SecurityRequirement[]> = {
  password: [{ basic: [] }],
  any: [{ basic: [] }, { bearer: [] }, { token: [] }]
}

/**
 * Guards every route of a scope: who makes a request is decided before its body is read, once, for every scheme. The
 * same call writes the `security` of the scope's operations into the OpenAPI document.
 */
export function authenticate (scope: FastifyInstance, { accounts, tokens, proof }: AuthenticateOptions): void {
  prepareCaller(scope)
  scope.addHook('onRoute', route => {
    if (route.schema !== undefined) route.schema.security = security[proof]
  })
  scope.addHook('onRequest', async request => {
    setCaller(request, await identify(request))
  })

  async function identify (request: FastifyRequest): Promise<Caller> {
    const credentials = credentialsOf(request)
    if (credentials === undefined) return refuse('credentials_missing', request)
    if (credentials.kind === 'token') return verifyToken(credentials.token, request)
    const account = await accounts.verify(credentials)
    if (account === undefined) return refuse('credentials_wrong', request)
    return { account, token: undefined }
  }

  async function verifyToken (token: string, request: FastifyRequest): Promise<Caller> {
    if (proof === 'password') return refuse('password_required', request, { error: 'invalid_token' })
    try {
      return await tokens.verify(token)
    } catch (error) {
      if (error instanceof Problem) return refuse(error.code, request, { error: 'invalid_token', cause: error })
      throw error
    }
  }

  function credentialsOf (request: FastifyRequest): Credentials | undefined {
    const header = request.headers.authorization
    if (header === undefined) return undefined
    // Node keeps the first of several and says nothing: which one counts must not depend on who reads them.
    const count = request.raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'authorization').length
    const credentials = count === 1 ? parse(header) : undefined
    return credentials ?? refuse('credentials_malformed', request)
  }

  /** A 401 with the challenges that suit the scope and the client (RFC 9110 section 11.6.1). */
  function refuse (code: FailureCode, request: FastifyRequest, { error, cause }: { error?: 'invalid_token', cause?: unknown } = {}): never {
    // A challenge for Basic on a script's request makes a browser open its own login box over the page.
    const isScript = request.headers['sec-fetch-dest'] === 'empty'
    const challenges = [
      ...(isScript ? [] : ['Basic realm="MagicStore", charset="UTF-8"']),
      ...(proof === 'any' || isScript ? [`Bearer realm="MagicStore"${error === undefined ? '' : `, error="${error}", error_description="${new Problem(code).message}"`}`] : []),
      ...(proof === 'any' ? ['Token realm="MagicStore"'] : [])
    ]
    throw new Problem(code, { headers: { 'www-authenticate': challenges }, cause })
  }
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
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return undefined
  const text = decodeUtf8(Buffer.from(value, 'base64'))
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
