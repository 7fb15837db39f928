import type { FastifyRequest } from 'fastify'
import { failures, Problem, type FailureCode } from '../problems.ts'

/**
 * Which credentials the routes of a Fastify scope accept. With `token`, Basic may have it as the password too, because
 * some clients ask for a name.
 */
export type CredentialKind = 'password' | 'password or personal token' | 'any' | 'token'

const BASIC = 'Basic realm="MagicStore", charset="UTF-8"'

/** Where only tokens are accepted, all else gets the same answer. */
const TOKEN_NEEDED = 'Use a personal token as the password: create one on the page of the account, or with POST /api/tokens.'

/** Failures of a token itself, for `error="invalid_token"` (RFC 6750 section 3.1). */
const INVALID_TOKEN = new Set<FailureCode>(['password_required', 'token_malformed', 'token_expired', 'token_revoked'])

/**
 * The error; if its status is 401, with challenges for the accepted credentials and the kind of client (RFC 9110
 * section 11.6.1).
 */
export function withChallenge<E> (error: E, request: FastifyRequest, accepted: CredentialKind): E | Problem {
  if (!(error instanceof Problem) || failures[error.code].status !== 401) return error
  const { code } = error
  if (accepted === 'token') {
    return new Problem('token_required', { detail: TOKEN_NEEDED, headers: { 'www-authenticate': BASIC }, cause: error })
  }
  // On a Basic challenge to a script's request, browsers open their own login dialog over the page.
  const isScript = request.headers['sec-fetch-dest'] === 'empty'
  const acceptsTokens = accepted !== 'password'
  const reason = INVALID_TOKEN.has(code) ? `, error="invalid_token", error_description="${failures[code].title}"` : ''
  const challenges = [
    ...(acceptsTokens || isScript ? [`Bearer realm="MagicStore"${reason}`] : []),
    ...(acceptsTokens ? ['Token realm="MagicStore"'] : []),
    // Last, because wget uses the last challenge.
    ...(isScript ? [] : [BASIC])
  ]
  return new Problem(code, { ...error.options, headers: { 'www-authenticate': challenges }, cause: error })
}
