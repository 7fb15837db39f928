import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { failures, Problem, type FailureCode, type FieldError } from '../problems.ts'
import { problemDetails } from './problem-details.ts'

/** Maximum number of validation messages in one response. */
const MAX_FIELD_ERRORS = 32

/**
 * Answers any error with a problem, an unexpected one with `internal_error`. Logs a 500 with its cause; other statuses
 * are in the request line only.
 */
export function sendProblem (error: FastifyError | Problem, request: FastifyRequest, reply: FastifyReply) {
  const problem = problemOf(error)
  const { status } = failures[problem.code]
  logUnexpected(problem, request)
  if (problem.options.headers !== undefined) reply.headers(problem.options.headers)
  return reply.code(status).header('cache-control', 'no-store').header('content-type', 'application/problem+json')
    // As bytes: with a string, Fastify adds a charset, which JSON does not have (RFC 8259 section 11).
    .send(Buffer.from(JSON.stringify(problemDetails(problem, request.id))))
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
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n${body}`
}

/** Fastify's own errors, by code. */
const frameworkFailures: Record<string, FailureCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_BAD_URL: 'malformed_url'
}

/** The problem that answers an error. */
export function problemOf (error: FastifyError | Problem): Problem {
  if (error instanceof Problem) return error
  if (error.validation !== undefined) {
    return new Problem('validation_failed', { errors: error.validation.slice(0, MAX_FIELD_ERRORS).map(fieldError), cause: error })
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
