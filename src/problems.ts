import { Type, type Static } from '@sinclair/typebox'
import { ONE_LINE } from './http/wire-values.ts'

/** Every failure a client can see. A code is part of the API: it is never renamed and never changes its status. */
export const failures = {
  malformed_request: { status: 400, title: 'The request can\'t be understood' },
  malformed_url: { status: 400, title: 'The address is not well formed' },
  malformed_json: { status: 400, title: 'The body is not valid JSON' },
  validation_failed: { status: 400, title: 'The request does not match its schema' },
  username_taken: { status: 400, title: 'The username is taken' },
  username_invalid: { status: 400, title: 'The username can\'t be used' },
  password_invalid: { status: 400, title: 'The password can\'t be used' },
  user_unknown: { status: 400, title: 'There is no such user' },
  token_needed: { status: 400, title: 'There is no token to end' },
  name_invalid: { status: 400, title: 'The file name can\'t be used' },
  malformed_multipart: { status: 400, title: 'The form is not well formed' },
  file_missing: { status: 400, title: 'The form holds no file' },
  file_unexpected: { status: 400, title: 'The form holds more than the one file' },
  upload_incomplete: { status: 400, title: 'The body ended early' },
  partial_upload: { status: 400, title: 'A range can\'t be stored as a whole file' },
  digest_malformed: { status: 400, title: 'A digest field is not well formed' },
  digest_mismatch: { status: 400, title: 'The bytes do not have the digest that was sent' },
  credentials_missing: { status: 401, title: 'Credentials are needed' },
  credentials_malformed: { status: 401, title: 'The credentials are not well formed' },
  credentials_wrong: { status: 401, title: 'The username or the password is wrong' },
  password_required: { status: 401, title: 'The password is needed, a token is not enough' },
  token_malformed: { status: 401, title: 'The token is not one of ours' },
  token_expired: { status: 401, title: 'The token has expired' },
  token_revoked: { status: 401, title: 'The token was revoked' },
  insufficient_scope: { status: 403, title: 'The token is not allowed to do this' },
  tls_required: { status: 403, title: 'A password is taken over TLS only' },
  registration_closed: { status: 403, title: 'Only the operator adds people' },
  cross_site_request: { status: 403, title: 'A page of another site asked for it' },
  not_found: { status: 404, title: 'There is nothing at this address' },
  method_not_allowed: { status: 405, title: 'This address does not know the method' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  too_many_tokens: { status: 409, title: 'The account has too many tokens' },
  name_taken: { status: 409, title: 'Another file has this name' },
  precondition_failed: { status: 412, title: 'The file is not in the state that was asked for' },
  body_too_large: { status: 413, title: 'The body is too large' },
  file_too_large: { status: 413, title: 'The file is too large' },
  quota_exceeded: { status: 413, title: 'The quota is spent' },
  unsupported_media_type: { status: 415, title: 'The body has a type that is not taken here' },
  content_encoding_unsupported: { status: 415, title: 'An encoded body is not taken' },
  extension_not_allowed: { status: 415, title: 'Files with this extension are not taken' },
  range_not_satisfiable: { status: 416, title: 'The file has no such range' },
  head_too_large: { status: 431, title: 'The request head is too large' },
  too_many_requests: { status: 429, title: 'Too many requests came from this address' },
  too_many_sign_ins: { status: 429, title: 'Too many sign-ins failed' },
  too_many_registrations: { status: 429, title: 'Too many people registered from this network' },
  too_many_transfers: { status: 429, title: 'Too many uploads and downloads at a time' },
  internal_error: { status: 500, title: 'The server failed' },
  file_damaged: { status: 500, title: 'The stored bytes are damaged' },
  stopping: { status: 503, title: 'The server is stopping' },
  overloaded: { status: 503, title: 'The server has too much to do' },
  not_ready: { status: 503, title: 'The server can\'t do its work now' },
  storage_full: { status: 507, title: 'The disk is full' }
} as const satisfies Record<string, { status: number, title: string }>

export type FailureCode = keyof typeof failures

/** What each validation message is about: a dotted path into the body, or the name of a parameter. */
export interface FieldError { field: string, message: string }

interface ProblemFacts {
  detail?: string
  errors?: FieldError[]
  headers?: Record<string, string | string[]>
  cause?: unknown
}

/** A failure for the client. `detail` is shown as it is: never put a secret, a path or another person's facts there. */
export class Problem extends Error {
  readonly code: FailureCode
  readonly facts: ProblemFacts

  constructor (code: FailureCode, facts: ProblemFacts = {}) {
    super(facts.detail ?? failures[code].title, { cause: facts.cause })
    this.code = code
    this.facts = facts
  }
}

export const ProblemDetails = Type.Object({
  type: Type.String({ format: 'uri', maxLength: 128, pattern: '^urn:magicstore:problem:[a-z_]+$', description: 'URI of the kind of problem; the same for the same code.', examples: ['urn:magicstore:problem:not_found'] }),
  title: Type.String({ minLength: 1, maxLength: 128, pattern: ONE_LINE, description: 'The kind of problem in a few words.', examples: ['There is nothing at this address'] }),
  status: Type.Integer({ format: 'int32', minimum: 400, maximum: 599, description: 'The HTTP status again.', examples: [404] }),
  detail: Type.String({ minLength: 1, maxLength: 1024, pattern: ONE_LINE, description: 'What went wrong this time, for a person.', examples: ['There is nothing at this address'] }),
  code: Type.String({ maxLength: 64, pattern: '^[a-z_]+$', description: 'A stable word that a program can switch on.', examples: ['not_found'] }),
  instance: Type.Optional(Type.String({ format: 'uri', maxLength: 128, pattern: '^urn:magicstore:request:[A-Za-z0-9-]+$', description: 'URI of this one occurrence: the id of the request behind `urn:magicstore:request:`. A 404 has none, so that all of one operation are the same.', examples: ['urn:magicstore:request:9b3a2a3e-6a0f-4c36-8f0e-2f1d3b5c7a90'] })),
  errors: Type.Optional(Type.Array(Type.Object({
    field: Type.String({ maxLength: 256, pattern: ONE_LINE, description: 'Where in the request: a dotted path into the body, or the name of a parameter.', examples: ['username'] }),
    message: Type.String({ minLength: 1, maxLength: 1024, pattern: ONE_LINE, description: 'What is wrong there.', examples: ['must NOT have fewer than 1 characters'] })
  }, { additionalProperties: false, description: 'One thing that is wrong.' }), { maxItems: 32, description: 'One entry for each thing that does not match the schema.' }))
}, { $id: 'Problem', additionalProperties: false, description: 'Why a request failed (RFC 9457).' })
export type ProblemDetails = Static<typeof ProblemDetails>

/** The body of a problem, as RFC 9457 section 3 lays it out; `requestId` where it occurred to a request. */
export function problemDetails (problem: Problem, requestId?: string): ProblemDetails {
  const { status, title } = failures[problem.code]
  const { errors } = problem.facts
  // What belongs to someone else is answered byte for byte as what does not exist: no 404 has anything of its own.
  const instance = requestId === undefined || status === 404 ? {} : { instance: `urn:magicstore:request:${requestId}` }
  return { type: `urn:magicstore:problem:${problem.code}`, title, status, detail: problem.message, code: problem.code, ...instance, ...(errors && { errors }) }
}

/** A failure of a command or of the start, for the operator: printed on one line, without a stack. */
export class OperatorError extends Error {
  /** 1: the machine or the data is in the way. 2: wrong usage or a wrong setting. */
  readonly exitCode: 1 | 2 = 1
}

/** A setting that cannot be used; the message holds no secret. */
export class ConfigError extends OperatorError {
  override readonly exitCode = 2
}
