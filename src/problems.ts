/** `type` is the URI of a problem type that others have defined (RFC 9457 section 3.1.1). */
export interface Failure { readonly status: number, readonly title: string, readonly type?: string }

/** The registry of problem types (RFC 9457 section 4.2). */
const IANA = 'https://iana.org/assignments/http-problem-types#'

/** Every failure a client can see. Codes are part of the API: a code is never renamed and its status never changes. */
export const failures = {
  malformed_request: { status: 400, title: 'Malformed request' },
  malformed_url: { status: 400, title: 'Malformed URL' },
  malformed_json: { status: 400, title: 'The body is not valid JSON' },
  malformed_xml: { status: 400, title: 'The body is not valid XML' },
  validation_failed: { status: 400, title: 'The request does not match its schema' },
  username_taken: { status: 400, title: 'Username already taken' },
  username_invalid: { status: 400, title: 'Invalid username' },
  password_invalid: { status: 400, title: 'Invalid password' },
  passkey_invalid: { status: 400, title: 'The passkey can\'t be registered' },
  user_unknown: { status: 400, title: 'User not found' },
  token_needed: { status: 400, title: 'No token to revoke' },
  name_invalid: { status: 400, title: 'Invalid name' },
  folder_into_itself: { status: 400, title: 'A folder can\'t be moved into itself' },
  malformed_multipart: { status: 400, title: 'Malformed multipart form' },
  file_missing: { status: 400, title: 'The form contains no file' },
  file_unexpected: { status: 400, title: 'The form contains more than one file' },
  upload_incomplete: { status: 400, title: 'The body is incomplete' },
  partial_upload: { status: 400, title: 'Partial uploads are not accepted here' },
  digest_malformed: { status: 400, title: 'Malformed digest header' },
  digest_mismatch: { status: 400, title: 'The body does not match its digest' },
  content_range_invalid: { status: 400, title: 'The range does not reach the end of the file' },
  upload_header_invalid: { status: 400, title: 'A header of the upload is missing or invalid' },
  upload_length_inconsistent: { status: 400, title: 'The announced lengths contradict each other', type: `${IANA}inconsistent-upload-length` },
  upload_completed: { status: 400, title: 'The upload is already complete', type: `${IANA}completed-upload` },
  credentials_missing: { status: 401, title: 'Credentials required' },
  credentials_malformed: { status: 401, title: 'Malformed credentials' },
  credentials_wrong: { status: 401, title: 'Wrong username or password' },
  second_factor_required: { status: 401, title: 'A one-time code is required' },
  second_factor_wrong: { status: 401, title: 'The one-time code is wrong or was used' },
  passkey_refused: { status: 401, title: 'The passkey was refused' },
  password_required: { status: 401, title: 'Password required; a token is not accepted' },
  token_required: { status: 401, title: 'A personal token is required; a password is not accepted' },
  token_malformed: { status: 401, title: 'Invalid token' },
  token_expired: { status: 401, title: 'The token has expired' },
  token_revoked: { status: 401, title: 'The token has been revoked' },
  insufficient_scope: { status: 403, title: 'The token lacks a required scope' },
  tls_required: { status: 403, title: 'Passwords are accepted over TLS only' },
  link_password_required: { status: 403, title: 'The link needs its password' },
  link_password_wrong: { status: 403, title: 'Wrong password' },
  links_off: { status: 403, title: 'Links are switched off' },
  second_factor_setup_required: { status: 403, title: 'Set up a second factor first' },
  registration_closed: { status: 403, title: 'Registration is closed' },
  depth_infinite: { status: 403, title: 'The depth must be 0 or 1' },
  place_forbidden: { status: 403, title: 'This can\'t be done there' },
  cross_site_request: { status: 403, title: 'Cross-site request refused' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  request_timeout: { status: 408, title: 'Request timeout' },
  second_factor_missing: { status: 409, title: 'The account has no second factor' },
  factor_not_pending: { status: 409, title: 'There is no new secret to confirm' },
  too_many_passkeys: { status: 409, title: 'The account has too many passkeys' },
  passkeys_unavailable: { status: 409, title: 'This server can\'t have passkeys' },
  too_many_tokens: { status: 409, title: 'The account has too many tokens' },
  too_many_links: { status: 409, title: 'The account has too many links' },
  name_taken: { status: 409, title: 'A file or folder with this name already exists' },
  parent_missing: { status: 409, title: 'The folder that it would be in does not exist' },
  lock_token_mismatch: { status: 409, title: 'There is no lock with this token' },
  folder_not_empty: { status: 409, title: 'The folder is not empty' },
  upload_offset_mismatch: { status: 409, title: 'The upload is at a different offset', type: `${IANA}mismatching-upload-offset` },
  upload_taken_over: { status: 409, title: 'A later request has taken over the upload' },
  precondition_failed: { status: 412, title: 'Precondition failed' },
  tus_version_unsupported: { status: 412, title: 'Unsupported version of the tus protocol' },
  upload_protocol_missing: { status: 412, title: 'The request follows no upload protocol' },
  body_too_large: { status: 413, title: 'The body is too large' },
  zip_too_large: { status: 413, title: 'The zip would have too many entries' },
  file_too_large: { status: 413, title: 'The file is too large' },
  quota_exceeded: { status: 413, title: 'Quota exceeded' },
  link_limit_reached: { status: 413, title: 'The link accepts no more' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  content_encoding_unsupported: { status: 415, title: 'Content encodings are not supported' },
  extension_not_allowed: { status: 415, title: 'File extension not allowed' },
  range_not_satisfiable: { status: 416, title: 'Range not satisfiable' },
  file_locked: { status: 423, title: 'The file or folder is locked' },
  head_too_large: { status: 431, title: 'The request headers are too large' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  too_many_sign_ins: { status: 429, title: 'Too many failed sign-ins' },
  too_many_passwords: { status: 429, title: 'Too many wrong passwords' },
  too_many_codes: { status: 429, title: 'Too many wrong one-time codes' },
  too_many_registrations: { status: 429, title: 'Too many registrations from this network' },
  too_many_uploads: { status: 429, title: 'The account has too many unfinished uploads' },
  too_many_locks: { status: 429, title: 'The account has too many locks' },
  too_many_waiting: { status: 429, title: 'Too many requests wait for changes' },
  too_many_transfers: { status: 429, title: 'Too many concurrent uploads and downloads' },
  internal_error: { status: 500, title: 'Internal server error' },
  file_damaged: { status: 500, title: 'The stored file is damaged' },
  foreign_destination: { status: 502, title: 'The destination is on another server' },
  stopping: { status: 503, title: 'The server is shutting down' },
  overloaded: { status: 503, title: 'The server is overloaded' },
  unavailable: { status: 503, title: 'The database or the file storage can\'t be reached' },
  not_ready: { status: 503, title: 'The server is not ready' },
  properties_too_large: { status: 507, title: 'The properties are too large' },
  storage_full: { status: 507, title: 'The disk is full' }
} as const satisfies Record<string, Failure>

/** The `code` of a problem. */
export type FailureCode = keyof typeof failures

/** A validation error. `field` is a dotted path into the body, or the name of a parameter. */
export interface FieldError { field: string, message: string }

/** What requests need, and can be without for a time. */
export type Resource = 'database' | 'bucket' | 'disk' | 'clock' | 'sealing_keys'

interface ProblemOptions {
  detail?: string
  errors?: FieldError[]
  /** Extension members of this problem type (RFC 9457 section 3.2). */
  members?: Record<string, number | readonly string[]>
  headers?: Record<string, string | string[]>
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
    this.options = options
  }
}

/** Seconds until housekeeping has looked for space again. */
const STORAGE_RETRY_SECONDS = 60

/** The problem `storage_full`. */
export function storageFull (options: Pick<ProblemOptions, 'detail' | 'cause' | 'resource'> = {}): Problem {
  return new Problem('storage_full', { ...options, headers: { 'retry-after': String(STORAGE_RETRY_SECONDS) } })
}

/** The problem `name_taken`: a file has the name. */
export function fileTaken (path: string): Problem {
  return new Problem('name_taken', { detail: `A file has the name ${path}.` })
}

/** @throws file_too_large. */
export function refuseSize (maxBytes: number): never {
  throw new Problem('file_too_large', { detail: `A file may have at most ${maxBytes} bytes.` })
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

/** A failure of a command or of the server start: printed for the operator on one line, without a stack. */
export class OperatorError extends Error {
  /** 1: the command failed. 2: wrong usage or an invalid setting. */
  readonly exitCode: 1 | 2 = 1
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
