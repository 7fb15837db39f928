import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { failures, Problem, problemDetails, type FailureCode, type FieldError } from '../problems.ts'

/** Maximum number of validation messages in one response. */
const MAX_FIELD_ERRORS = 32

/** Answers any failure with a problem; what is not a {@link Problem} and not the client's fault is logged and told as `internal_error`. */
export function handleError (error: FastifyError | Problem, request: FastifyRequest, reply: FastifyReply) {
  const problem = problemOf(error)
  const { status } = failures[problem.code]
  if (status === 500) request.log.error({ err: problem.cause ?? problem, code: problem.code }, 'request failed')
  if (problem.options.headers !== undefined) reply.headers(problem.options.headers)
  return reply.code(status).header('cache-control', 'no-store').header('content-type', 'application/problem+json')
    // As bytes: to a string Fastify adds a charset, which JSON does not have (RFC 8259 section 11).
    .send(Buffer.from(JSON.stringify(problemDetails(problem, request.id))))
}

/** The problem for an address that no route knows. */
export function handleNotFound (): never {
  throw new Problem('not_found')
}

/** The whole answer to bytes that are no HTTP request, as Node's `clientError` needs it: raw text for the socket. */
export function clientErrorResponse (error: NodeJS.ErrnoException): string {
  const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'head_too_large' : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request_timeout' : 'malformed_request'
  const body = JSON.stringify(problemDetails(new Problem(code)))
  const { status } = failures[code]
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n${body}`
}

/** Fastify's own failures, by its codes. */
const frameworkFailures: Record<string, FailureCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_BAD_URL: 'malformed_url'
}

/** What a client is told of any failure. */
export function problemOf (error: FastifyError | Problem): Problem {
  if (error instanceof Problem) return error
  if (error.validation !== undefined) {
    return new Problem('validation_failed', { errors: error.validation.slice(0, MAX_FIELD_ERRORS).map(fieldError), cause: error })
  }
  // Only the code is taken over: a JSON syntax error quotes the text around the fault, where a password may stand.
  const code = frameworkFailures[error.code]
  if (code !== undefined) return new Problem(code, { cause: error })
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) return new Problem('malformed_request', { cause: error })
  return new Problem('internal_error', { cause: error })
}

function fieldError ({ instancePath, message, params }: NonNullable<FastifyError['validation']>[number]): FieldError {
  const last = params.missingProperty ?? params.additionalProperty
  const path = [...instancePath.split('/').slice(1), ...(typeof last === 'string' ? [last] : [])]
  // A client's own key may hold anything; who reads the problem on a terminal must not suffer from it.
  return { field: path.join('.').replace(/\p{Cc}/gu, '\uFFFD').slice(0, 256), message: message ?? 'is not valid' }
}
