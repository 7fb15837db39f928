import { Type } from '@sinclair/typebox'
import { failures, ProblemDetails, type FailureCode } from '../errors.ts'

interface ProblemResponse {
  description: string
  content: { 'application/problem+json': { schema: unknown } }
}

/** The error responses of an operation, by status, from the codes it can answer with. */
export function problems (codes: FailureCode[]): Record<number, ProblemResponse> {
  const statuses = new Set(codes.map(code => failures[code].status))
  return Object.fromEntries(Array.from(statuses, status => [status, response(codes.filter(code => failures[code].status === status))]))
}

function response (codes: FailureCode[]): ProblemResponse {
  return {
    description: codes.map(code => `\`${code}\`: ${failures[code].title.toLowerCase()}.`).join('\n'),
    content: { 'application/problem+json': { schema: Type.Ref(ProblemDetails) } }
  }
}
