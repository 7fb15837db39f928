import { Type, type Static } from '@sinclair/typebox'
import { failures, type Problem } from '../problems.ts'
import { MAX_LOCKS } from '../metadata/lock-records.ts'
import { factors } from '../metadata/records.ts'
import { Count, ExactObject, ONE_LINE, OneOf, SharedObject } from './wire-values.ts'

const text = (maxLength: number, options: { description: string, examples: string[] }) =>
  Type.String({ minLength: 1, maxLength, pattern: ONE_LINE, ...options })

/** What refuses a change with `file_locked`. */
export const LockedPaths = Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 1024, pattern: ONE_LINE }), {
  maxItems: MAX_LOCKS,
  description: 'For `file_locked`: the files and folders whose locks refuse the change.'
}))

export const ProblemDetails = SharedObject('Problem', 'Why a request failed (RFC 9457).', {
  type: Type.String({
    format: 'uri',
    maxLength: 128,
    pattern: '^(?:urn:magicstore:problem:[a-z_]+|https://iana[.]org/assignments/http-problem-types#[a-z-]+)$',
    description: 'URI of the problem type; there is one for each code.',
    examples: ['urn:magicstore:problem:not_found']
  }),
  title: text(128, { description: 'Short summary of the problem type.', examples: ['Not found'] }),
  status: Type.Integer({
    format: 'int32', minimum: 400, maximum: 599, description: 'The HTTP status code.', examples: [404]
  }),
  detail: text(2048, { description: 'Explanation of this occurrence, for humans.', examples: ['Not found'] }),
  code: Type.String({
    maxLength: 64, pattern: '^[a-z_]+$', description: 'Stable code for programs.', examples: ['not_found']
  }),
  instance: Type.Optional(Type.String({
    format: 'uri',
    maxLength: 128,
    pattern: '^urn:magicstore:request:[A-Za-z0-9-]+$',
    description: 'URI of this occurrence, with the request id. Omitted for 404, so that all 404 bodies of an ' +
      'operation are identical.',
    examples: ['urn:magicstore:request:9b3a2a3e-6a0f-4c36-8f0e-2f1d3b5c7a90']
  })),
  errors: Type.Optional(Type.Array(ExactObject('A validation error.', {
    field: Type.String({
      maxLength: 256,
      pattern: ONE_LINE,
      description: 'A dotted path into the body, or the name of a parameter.',
      examples: ['username']
    }),
    message: text(1024, {
      description: 'What is wrong with the field.', examples: ['must NOT have fewer than 1 characters']
    })
  }), {
    maxItems: 32,
    description: 'Validation errors, one for each mismatch with the schema.'
  })),
  factors: Type.Optional(Type.Array(OneOf(factors, { examples: ['totp'] }), {
    maxItems: factors.length,
    description: 'For `second_factor_required`: the second factors of the account.'
  })),
  locked: LockedPaths,
  lockedFolders: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 1024, pattern: ONE_LINE }), {
    maxItems: MAX_LOCKS,
    description: 'For `file_locked`: those of `locked` that are folders.'
  })),
  extensions: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 255, pattern: ONE_LINE }), {
    maxItems: 1000,
    description: 'For `extension_not_allowed`: the extensions that are accepted, without a dot.',
    examples: [['pdf', 'png']]
  })),
  limit: Type.Optional(Count('For `file_too_large`: how many bytes a file may have.', 1000)),
  lost: Type.Optional(Count(
    'For `trash_full`: how many of the oldest versions and deleted files would be deleted for good.', 100
  )),
  remaining: Type.Optional(Count('For `quota_exceeded` and `link_limit_reached`: how much can still be stored.', 100)),
  unit: Type.Optional(Type.Union([Type.Literal('bytes'), Type.Literal('files')], {
    description: 'What `remaining` counts. Folders count as files.',
    examples: ['bytes']
  })),
  'expected-offset': Type.Optional(Count('For `upload_offset_mismatch`: the offset of the upload.', 0)),
  'provided-offset': Type.Optional(Count('For `upload_offset_mismatch`: the offset in the request.', 5))
})
export type ProblemDetails = Static<typeof ProblemDetails>

/** The body of a problem response (RFC 9457 section 3). */
export function problemDetails (problem: Problem, requestId?: string): ProblemDetails {
  const { status, title, type } = failures[problem.code]
  const { errors, members } = problem.options
  // A 404 has no request id: the bodies for another user's file and for a missing file must be identical.
  const instance = requestId === undefined || status === 404 ? {} : { instance: `urn:magicstore:request:${requestId}` }
  return {
    type, title, status, detail: problem.message, code: problem.code, ...instance, ...(errors && { errors }), ...members
  }
}
