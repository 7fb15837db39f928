import { Type } from '@sinclair/typebox'
import type { RouteOptions } from 'fastify'
import { failures, Problem, problemDetails, ProblemDetails, type FailureCode } from '../errors.ts'

interface Header { type: 'string' | 'integer', description: string }

/** What the general rate limit tells on every answer (draft-ietf-httpapi-ratelimit-headers). */
export const rateLimitHeaders: Record<string, Header> = {
  'RateLimit-Limit': { type: 'integer', description: 'Requests a minute that one client address may make.' },
  'RateLimit-Remaining': { type: 'integer', description: 'How many of them are left.' },
  'RateLimit-Reset': { type: 'integer', description: 'Seconds until they are all there again.' }
}

/** Headers that an error response of a status carries. */
const headersByStatus: Record<number, Record<string, Header>> = {
  401: { 'WWW-Authenticate': { type: 'string', description: 'A challenge for each scheme that would have worked (RFC 9110 section 11.6.1); none for Basic to a script in a browser.' } },
  403: { 'WWW-Authenticate': { type: 'string', description: 'For a token without the scope: which one is needed (RFC 6750 section 3).' } },
  416: { 'Content-Range': { type: 'string', description: 'The size of the file: `bytes */size`.' } },
  429: { 'Retry-After': { type: 'integer', description: 'Seconds to wait.' } },
  503: { 'Retry-After': { type: 'integer', description: 'Seconds to wait.' } }
}

interface ProblemResponse {
  description: string
  headers: Record<string, Header>
  content: { 'application/problem+json': { schema: unknown, examples: Record<string, { $ref: string }> } }
}

/** What each failure looks like on the wire: the `components.examples` that the error responses refer to. */
export function problemExamples (): Record<string, { summary: string, value: ProblemDetails }> {
  const codes = Object.keys(failures) as FailureCode[]
  return Object.fromEntries(codes.map(code => [code, { summary: failures[code].title, value: problemDetails(new Problem(code)) }]))
}

/** Adds failures to what a route says it can answer: for hooks that guard many routes, called as each is made. */
export function addFailures (route: RouteOptions, codes: FailureCode[]): void {
  if (route.schema === undefined || 'hide' in route.schema) return
  const responses = route.schema.response as Record<number, Partial<ProblemResponse>>
  const declared = Object.values(responses).flatMap(({ content }) => Object.keys(content?.['application/problem+json']?.examples ?? {})) as FailureCode[]
  route.schema.response = { ...responses, ...problems([...new Set([...declared, ...codes])]) }
}

/** The error responses of an operation, by status, from the codes it can answer with. */
export function problems (codes: FailureCode[]): Record<number, ProblemResponse> {
  const statuses = new Set(codes.map(code => failures[code].status))
  return Object.fromEntries(Array.from(statuses, status => [status, response(status, codes.filter(code => failures[code].status === status))]))
}

function response (status: number, codes: FailureCode[]): ProblemResponse {
  return {
    description: codes.map(code => `- \`${code}\`: ${failures[code].title}.`).join('\n'),
    headers: { ...headersByStatus[status], ...rateLimitHeaders },
    content: {
      'application/problem+json': {
        schema: Type.Ref(ProblemDetails),
        examples: Object.fromEntries(codes.map(code => [code, { $ref: `#/components/examples/${code}` }]))
      }
    }
  }
}
