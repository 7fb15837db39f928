/**
 * The title of every failure that a client can see, by status and code. Codes are part of the API: a code is never
 * renamed, and its status never changes.
 */
const titles = {
  400: {
    malformed_request: 'Malformed request',
    malformed_url: 'Malformed URL',
    malformed_json: 'The body is not valid JSON',
    malformed_xml: 'The body is not valid XML',
    validation_failed: 'The request does not match its schema',
    username_taken: 'Username already taken',
    username_invalid: 'Invalid username',
    password_invalid: 'Invalid password',
    passkey_invalid: 'The passkey can\'t be registered',
    user_unknown: 'User not found',
    token_needed: 'No token to revoke',
    name_invalid: 'Invalid name',
    folder_into_itself: 'A folder can\'t be moved or copied into itself',
    malformed_multipart: 'Malformed multipart form',
    file_missing: 'The form contains no file',
    file_unexpected: 'The form contains more than one file',
    upload_incomplete: 'The body is incomplete',
    partial_upload: 'Partial uploads are not accepted here',
    digest_malformed: 'Malformed digest header',
    digest_mismatch: 'The body does not match its digest',
    content_range_invalid: 'The range does not reach the end of the file',
    upload_header_invalid: 'A header of the upload is missing or invalid',
    upload_length_inconsistent: 'The announced lengths contradict each other',
    upload_completed: 'The upload is already complete'
  },
  401: {
    credentials_missing: 'Credentials required',
    credentials_malformed: 'Malformed credentials',
    credentials_wrong: 'Wrong username or password',
    second_factor_required: 'A one-time code is required',
    second_factor_wrong: 'The one-time code is wrong or was used',
    passkey_refused: 'The passkey was refused',
    oidc_refused: 'The identity provider\'s answer was refused',
    sign_in_required: 'The account must sign in with its identity provider first',
    password_required: 'Password required; a token is not accepted',
    token_required: 'A personal token is required; a password is not accepted',
    token_malformed: 'Invalid token',
    token_expired: 'The token has expired',
    token_revoked: 'The token has been revoked'
  },
  403: {
    insufficient_scope: 'The token lacks a required scope',
    tls_required: 'Passwords are accepted over TLS only',
    link_password_required: 'The link needs its password',
    link_password_wrong: 'Wrong password',
    links_off: 'Links are switched off',
    second_factor_setup_required: 'Set up a second factor first',
    registration_closed: 'Registration is closed',
    identity_unknown: 'No account has this identity',
    identity_not_allowed: 'This identity may not sign in',
    depth_infinite: 'The depth must be 0 or 1',
    place_forbidden: 'This can\'t be done there',
    cross_site_request: 'Cross-site request refused'
  },
  404: {
    not_found: 'Not found'
  },
  405: {
    method_not_allowed: 'Method not allowed'
  },
  408: {
    request_timeout: 'Request timeout'
  },
  409: {
    second_factor_missing: 'The account has no second factor',
    factor_not_pending: 'There is no new secret to confirm',
    too_many_passkeys: 'The account has too many passkeys',
    passkeys_unavailable: 'This server can\'t have passkeys',
    oidc_unavailable: 'This server has no identity provider',
    identity_taken: 'An account has this identity already',
    too_many_identities: 'The account has too many identities',
    password_present: 'The account has a password: use that',
    too_many_tokens: 'The account has too many tokens',
    link_address_unknown: 'The address of the link is not known',
    too_many_links: 'The account has too many links',
    name_taken: 'A file or folder with this name already exists',
    parent_missing: 'The folder that it would be in does not exist',
    lock_token_mismatch: 'There is no lock with this token',
    folder_not_empty: 'The folder is not empty',
    trash_full: 'The trash would lose older contents',
    upload_offset_mismatch: 'The upload is at a different offset',
    upload_taken_over: 'A later request has taken over the upload'
  },
  412: {
    precondition_failed: 'Precondition failed',
    tus_version_unsupported: 'Unsupported version of the tus protocol',
    upload_protocol_missing: 'The request follows no upload protocol'
  },
  413: {
    body_too_large: 'The body is too large',
    zip_too_large: 'The zip would have too many entries',
    file_too_large: 'The file is too large',
    quota_exceeded: 'Quota exceeded',
    link_limit_reached: 'The link accepts no more'
  },
  415: {
    unsupported_media_type: 'Unsupported media type',
    content_encoding_unsupported: 'Content encodings are not supported',
    extension_not_allowed: 'File extension not allowed',
    thumbnail_unsupported: 'The thumbnail is no WebP or JPEG of up to 512 pixels a side'
  },
  416: {
    range_not_satisfiable: 'Range not satisfiable'
  },
  423: {
    file_locked: 'The file or folder is locked'
  },
  428: {
    precondition_required: 'If-Match with an entity tag is required'
  },
  429: {
    too_many_requests: 'Too many requests',
    too_many_sign_ins: 'Too many failed sign-ins',
    too_many_passwords: 'Too many wrong passwords',
    too_many_codes: 'Too many wrong one-time codes',
    too_many_connections: 'Too many connections wait for permission',
    too_many_connection_codes: 'Too many wrong codes of connections',
    too_many_registrations: 'Too many registrations from this network',
    too_many_uploads: 'The account has too many unfinished uploads',
    too_many_locks: 'The account has too many locks',
    too_many_waiting: 'Too many requests wait for changes',
    too_many_transfers: 'Too many concurrent uploads and downloads',
    too_many_acts: 'Too many concurrent acts on many files'
  },
  431: {
    head_too_large: 'The request headers are too large'
  },
  500: {
    internal_error: 'Internal server error',
    file_damaged: 'The stored file is damaged'
  },
  502: {
    foreign_destination: 'The destination is on another server'
  },
  503: {
    stopping: 'The server is shutting down',
    overloaded: 'The server is overloaded',
    unavailable: 'The database or the file storage can\'t be reached',
    provider_unavailable: 'The identity provider can\'t be used now',
    not_ready: 'The server is not ready'
  },
  507: {
    properties_too_large: 'The properties are too large',
    storage_full: 'The disk is full'
  }
} as const

/** Problem types that others have defined: the registry of RFC 9457 section 4.2. */
const types: Partial<Record<FailureCode, string>> = {
  upload_length_inconsistent: 'https://iana.org/assignments/http-problem-types#inconsistent-upload-length',
  upload_completed: 'https://iana.org/assignments/http-problem-types#completed-upload',
  upload_offset_mismatch: 'https://iana.org/assignments/http-problem-types#mismatching-upload-offset'
}

/** The `code` of a problem. */
export type FailureCode = { [Status in keyof typeof titles]: keyof typeof titles[Status] }[keyof typeof titles]

/** `type` is the URI of the problem type. */
interface Failure { readonly status: number, readonly title: string, readonly type: string }

/** Every failure that a client can see. */
export const failures = Object.fromEntries(Object.entries(titles).flatMap(([status, ofStatus]) =>
  Object.entries(ofStatus).map(([code, title]) =>
    [code, { status: Number(status), title, type: types[code as FailureCode] ?? `urn:magicstore:problem:${code}` }]
  ))) as Record<FailureCode, Failure>

/** A validation error. `field` is a dotted path into the body, or the name of a parameter. */
export interface FieldError { field: string, message: string }

/** What requests need, and can be without for a time. */
export type Resource = 'database' | 'bucket' | 'disk' | 'clock' | 'sealing_keys' | 'provider'

interface ProblemOptions {
  detail?: string
  errors?: FieldError[]
  /** Extension members of this problem type (RFC 9457 section 3.2). */
  members?: Record<string, number | string | readonly string[]>
  headers?: Record<string, string | string[]>
  /** Seconds after which the client may try again: the header `Retry-After`. */
  retrySeconds?: number
  /** What failed, and what else is known about it, for the log. */
  resource?: Resource
  state?: object
  cause?: unknown
}

/** A failure for the client. `detail` is sent unchanged: no secrets, server paths or data of other users. */
export class Problem extends Error {
  readonly code: FailureCode
  readonly options: ProblemOptions

  constructor (code: FailureCode, options: ProblemOptions = {}) {
    super(options.detail ?? failures[code].title, { cause: options.cause })
    this.code = code
    const { retrySeconds, headers } = options
    this.options = retrySeconds === undefined
      ? options
      : { ...options, headers: { 'retry-after': String(retrySeconds), ...headers } }
  }
}

/** Seconds until housekeeping has looked for space again. */
const STORAGE_RETRY_SECONDS = 60

/** The problem `storage_full`. */
export function storageFull (options: Pick<ProblemOptions, 'detail' | 'cause' | 'resource'> = {}): Problem {
  return new Problem('storage_full', { ...options, retrySeconds: STORAGE_RETRY_SECONDS })
}

/** The problem `validation_failed` of one field. */
export function invalidField (field: string, message: string): Problem {
  return new Problem('validation_failed', { errors: [{ field, message }] })
}

/** The problem `name_taken`: a file has the name. */
export function fileTaken (path: string): Problem {
  return new Problem('name_taken', { detail: `A file has the name ${path}.` })
}

/** @throws file_too_large. */
export function refuseSize (maxBytes: number): never {
  const detail = `A file may have at most ${maxBytes} bytes.`
  throw new Problem('file_too_large', { detail, members: { limit: maxBytes } })
}

/** The result; undefined if it fails with this problem. */
export async function ifNot<T> (code: FailureCode, result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if (error instanceof Problem && error.code === code) return undefined
    throw error
  }
}

/** The code of an error that is a problem with one of these codes. @throws any other error. */
export function codeAmong<Code extends FailureCode> (codes: readonly Code[], error: unknown): Code {
  const found = error instanceof Problem ? codes.find(code => code === error.code) : undefined
  if (found === undefined) throw error
  return found
}

/** Why one of many is refused. `locked`: of `file_locked`, the files and folders whose locks refuse it. */
export interface RefusalReason<Code extends FailureCode> { readonly code: Code, readonly locked?: string[] }

/** As {@link codeAmong}. */
export function refusalAmong<Code extends FailureCode> (codes: readonly Code[], error: unknown): RefusalReason<Code> {
  const code = codeAmong(codes, error)
  // Only of `file_locked`, and then paths.
  const { locked } = (error as Problem).options.members ?? {}
  return locked === undefined ? { code } : { code, locked: locked as string[] }
}

/** A failure of a command or of the server start: printed for the operator on one line, without a stack. */
export class OperatorError extends Error {
  /** 1: it failed. 2: wrong usage or an invalid setting. Of `sync` also 3: a question, and 4: the credential. */
  readonly exitCode: 1 | 2 | 3 | 4 = 1
  /** What went wrong: the message without the remedy. */
  readonly reason: string
  /** What to do, with the setting or the command to paste. */
  readonly remedy: string | undefined

  constructor (reason: string, { remedy, cause }: { remedy?: string, cause?: unknown } = {}) {
    super(remedy === undefined ? reason : `${reason}; ${remedy}`, { cause })
    this.reason = reason
    this.remedy = remedy
  }
}

/** An invalid setting. The message contains no secrets. */
export class ConfigError extends OperatorError {
  override readonly exitCode = 2
}
