import { type TSchema, Type } from '@sinclair/typebox'
import type { RouteOptions } from 'fastify'
import { problemDetails, ProblemDetails } from '../http/problem-details.ts'
import { failures, Problem, type FailureCode } from '../problems.ts'

/** A response with JSON of a shared schema. */
export function answer<Schema extends TSchema> (schema: Schema, description: string) {
  return { ...Type.Ref(schema), description }
}

/** A response without a body. */
export function noContent (description: string) {
  return { description, type: 'null' } as const
}

/** A response header: the schema of its value, and a description. */
export interface Header { type: 'string' | 'integer', description: string, [keyword: string]: unknown }

const number = (minimum: number, maximum: number, description: string): Header =>
  ({ type: 'integer', format: 'int32', minimum, maximum, description })

/** The largest RATE_LIMIT_PER_MINUTE. */
const MAX_REQUESTS = 1_000_000_000

/** Headers of every response: the request id and the general rate limit (draft-ietf-httpapi-ratelimit-headers). */
export const sharedHeaders: Record<string, Header> = {
  'X-Request-Id': {
    type: 'string',
    maxLength: 64,
    pattern: '^[A-Za-z0-9-]+$',
    description: 'Id of the request, also found in the server log.'
  },
  'RateLimit-Limit': number(
    1,
    MAX_REQUESTS,
    'Requests allowed per minute from one client address. The three `RateLimit` headers are absent if the limit is ' +
    'disabled or does not apply, or if the request was refused before it was counted.'
  ),
  'RateLimit-Remaining': number(0, MAX_REQUESTS, 'Requests left in the current minute.'),
  'RateLimit-Reset': number(0, 60, 'Seconds until the limit resets.')
}

/** The header of responses that are compressed for clients that accept it. */
export const contentCoding: Record<string, Header> = {
  'Content-Encoding': {
    type: 'string', enum: ['br', 'gzip'], description: 'Present if the response is compressed (`Accept-Encoding`).'
  }
}

const retryAfter = number(1, 86_400, 'Seconds to wait before retrying.')

/** Further headers of error responses, by status. */
const headersByStatus: Record<number, Record<string, Header>> = {
  401: {
    'WWW-Authenticate': {
      type: 'string',
      maxLength: 512,
      pattern: '^(?:Basic|Bearer|Token) realm="MagicStore"',
      description: 'A challenge for each accepted scheme (RFC 9110 section 11.6.1). Scripts in a browser get no ' +
        'Basic challenge.'
    }
  },
  403: {
    'WWW-Authenticate': {
      type: 'string',
      maxLength: 128,
      pattern: '^Bearer realm="MagicStore", error="insufficient_scope", scope="[a-z:]+"$',
      description: 'For `insufficient_scope`: the scope that is required (RFC 6750 section 3).'
    }
  },
  416: {
    'Content-Range': {
      type: 'string',
      maxLength: 32,
      pattern: '^bytes [*]/(?:0|[1-9][0-9]*)$',
      description: 'The size of the file in bytes (RFC 9110 section 14.4).'
    }
  },
  429: { 'Retry-After': retryAfter },
  503: { 'Retry-After': retryAfter },
  507: { 'Retry-After': retryAfter }
}

/** Further headers of error responses, by code. */
const headersByCode: Partial<Record<FailureCode, Record<string, Header>>> = {
  content_encoding_unsupported: {
    'Accept-Encoding': {
      type: 'string',
      enum: ['identity'],
      description: 'For `content_encoding_unsupported`: no content coding is accepted (RFC 9110 section 12.5.3).'
    }
  },
  tus_version_unsupported: {
    'Tus-Version': {
      type: 'string', enum: ['1.0.0'], description: 'For `tus_version_unsupported`: the supported version.'
    }
  }
}

interface ProblemResponse {
  description: string
  headers: Record<string, Header>
  content: { 'application/problem+json': { schema: unknown, examples: Record<string, { $ref: string }> } }
}

const allCodes = Object.keys(failures) as FailureCode[]

/** An example of each error: the `components.examples` that the error responses refer to. */
export function problemExamples (): Record<string, { summary: string, value: ProblemDetails }> {
  return Object.fromEntries(
    allCodes.map(code => [code, { summary: failures[code].title, value: problemDetails(new Problem(code)) }])
  )
}

/** Adds error responses to a route: for hooks that apply to many routes, called as each route is added. */
export function addFailures (route: RouteOptions, codes: FailureCode[]): void {
  if (route.schema === undefined || 'hide' in route.schema) return
  const responses = route.schema.response as Record<number, Partial<ProblemResponse>>
  const declared = Object.values(responses)
    .flatMap(({ content }) => Object.keys(content?.['application/problem+json']?.examples ?? {})) as FailureCode[]
  const added = Object.entries(problems([...declared, ...codes])).map(([status, problem]) =>
    [status, { ...problem, content: { ...responses[Number(status)]?.content, ...problem.content } }])
  route.schema.response = { ...responses, ...Object.fromEntries(added) }
}

/** Adds headers to the responses of a route, by status. For hooks on many routes, after those that add failures. */
export function addHeaders (route: RouteOptions, headersOf: (status: number) => Record<string, Header>): void {
  if (route.schema === undefined || 'hide' in route.schema) return
  const responses = Object.entries(route.schema.response as Record<string, { headers?: object }>)
  route.schema.response = Object.fromEntries(responses.map(([status, response]) =>
    [status, { ...response, headers: { ...response.headers, ...headersOf(Number(status)) } }]))
}

/** The error responses of an operation, by status, from the codes it can answer with, in any order. */
export function problems (codes: FailureCode[]): Record<number, ProblemResponse> {
  const statuses = new Set(codes.map(code => failures[code].status))
  const ordered = allCodes.filter(code => codes.includes(code))
  return Object.fromEntries(
    Array.from(statuses, status => [status, response(status, ordered.filter(code => failures[code].status === status))])
  )
}

function response (status: number, codes: FailureCode[]): ProblemResponse {
  return {
    description: codes.map(code => `- \`${code}\`: ${failures[code].title}.`).join('\n'),
    headers: {
      ...headersByStatus[status], ...Object.assign({}, ...codes.map(code => headersByCode[code])), ...sharedHeaders
    },
    content: {
      'application/problem+json': {
        schema: Type.Ref(ProblemDetails),
        examples: Object.fromEntries(codes.map(code => [code, { $ref: `#/components/examples/${code}` }]))
      }
    }
  }
}
