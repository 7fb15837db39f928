import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { failures, Problem, type FailureCode, type FieldError } from '../problems.ts'
import { problemDetails } from './problem-details.ts'

/**
 * Which credentials a route accepts. With `token`, Basic may have it as the password too, because some clients ask for
 * a name.
 */
export type CredentialKind = 'password' | 'password or personal token' | 'any' | 'token'

/** Maximum number of validation messages in one response. */
const MAX_FIELD_ERRORS = 32

/**
 * Answers any error with a problem, an unexpected one with `internal_error`. Logs a 500 with its cause; other statuses
 * are in the request line only.
 */
export function sendProblem (error: FastifyError | Problem, request: FastifyRequest, reply: FastifyReply) {
  const problem = answerTo(error, request)
  const { status } = failures[problem.code]
  logUnexpected(problem, request)
  if (problem.options.headers !== undefined) reply.headers(problem.options.headers)
  return reply.code(status).header('cache-control', 'no-store').header('content-type', 'application/problem+json')
    // As bytes: with a string, Fastify adds a charset, which JSON does not have (RFC 8259 section 11).
    .send(Buffer.from(JSON.stringify(problemDetails(problem, request.id))))
}

/** The problem that answers an error of a request: a 401 has challenges (RFC 9110 section 11.6.1). */
export function answerTo (error: FastifyError | Problem, request: FastifyRequest): Problem {
  const problem = problemOf(error)
  if (failures[problem.code].status !== 401) return problem
  const { credential = 'password' } = request.routeOptions.config as { credential?: CredentialKind }
  return withChallenges(problem, credential, request.headers['sec-fetch-dest'] === 'empty')
}

const BASIC = 'Basic realm="MagicStore", charset="UTF-8"'

/** Where only tokens are accepted, all else gets the same answer, but for tokens that rest. */
const TOKEN_NEEDED =
  'Use a personal token as the password: create one on the page of the account, or with POST /api/tokens.'

const SIGN_IN_NEEDED =
  'The token works again after the next sign-in on the page, with the identity provider.'

/** Failures of a token itself, for `error="invalid_token"` (RFC 6750 section 3.1). */
const INVALID_TOKEN = new Set<FailureCode>([
  'password_required', 'token_malformed', 'token_expired', 'token_revoked', 'sign_in_required'
])

/** On a Basic challenge to a script's request, browsers open their own login dialog over the page. */
function withChallenges (cause: Problem, accepted: CredentialKind, isScript: boolean): Problem {
  if (accepted === 'token') {
    const detail = cause.code === 'sign_in_required' ? SIGN_IN_NEEDED : TOKEN_NEEDED
    return new Problem('token_required', { detail, headers: { 'www-authenticate': BASIC }, cause })
  }
  const { code, options } = cause
  const acceptsTokens = accepted !== 'password'
  const reason = INVALID_TOKEN.has(code) ? `, error="invalid_token", error_description="${failures[code].title}"` : ''
  const challenges = [
    ...(acceptsTokens || isScript ? [`Bearer realm="MagicStore"${reason}`] : []),
    ...(acceptsTokens ? ['Token realm="MagicStore"'] : []),
    // Last, because wget uses the last challenge.
    ...(isScript ? [] : [BASIC])
  ]
  return new Problem(code, { ...options, headers: { 'www-authenticate': challenges }, cause })
}

/** Logs a 500 with its cause. */
export function logUnexpected (problem: Problem, request: FastifyRequest): void {
  if (failures[problem.code].status !== 500) return
  request.log.error({ err: problem.cause ?? problem, code: problem.code }, 'request failed')
}

/** Answers requests for unknown paths. */
export function refuseUnknownPath (): never {
  throw new Problem('not_found')
}

/** Node's own errors, by code. */
const parserFailures: Record<string, FailureCode> = {
  HPE_HEADER_OVERFLOW: 'head_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout'
}

/** The raw response to bytes that are not an HTTP request, for the socket that Node's `clientError` event gives. */
export function clientErrorResponse (error: NodeJS.ErrnoException): string {
  const code = parserFailures[String(error.code)] ?? 'malformed_request'
  const body = JSON.stringify(problemDetails(new Problem(code)))
  const { status } = failures[code]
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/problem+json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n` +
    `Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n${body}`
}

/** Fastify's own errors, by code. */
const frameworkFailures: Record<string, FailureCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json'
}

/** The problem that answers an error. */
export function problemOf (error: FastifyError | Problem): Problem {
  if (error instanceof Problem) return error
  if (error.validation !== undefined) {
    return new Problem('validation_failed', {
      errors: error.validation.slice(0, MAX_FIELD_ERRORS).map(fieldError), cause: error
    })
  }
  // Only the code is used: the message of a JSON syntax error quotes the body, which may hold a password.
  const code = frameworkFailures[error.code]
  if (code !== undefined) return new Problem(code, { cause: error })
  const isOfClient = error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500
  return new Problem(isOfClient ? 'malformed_request' : 'internal_error', { cause: error })
}

function fieldError ({ instancePath, message, params }: NonNullable<FastifyError['validation']>[number]): FieldError {
  const last = params.missingProperty ?? params.additionalProperty
  const path = [...instancePath.split('/').slice(1), ...(typeof last === 'string' ? [last] : [])]
  // The client chooses the key: control characters could disturb the terminal on which the problem is read.
  return { field: path.join('.').replace(/\p{Cc}/gu, '\uFFFD').slice(0, 256), message: message ?? 'is not valid' }
}
