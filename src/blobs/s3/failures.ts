import type { BackendRequest } from '../../monitoring/request-observer.ts'
import { ConfigError, OperatorError, Problem } from '../../problems.ts'

/** Answers of the store where an object is missing. `NotFound` is made from an answer to HEAD. */
const MISSING = new Set(['NoSuchKey', 'NotFound'])

/** An error of the SDK. `name` is the code of the S3 protocol, or the kind of a network failure, which has a `code`. */
interface SdkError {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** The region that the store expects, if it names it. */
  readonly Region?: string
  /** With a status if there was an answer. */
  readonly $metadata?: { readonly httpStatusCode?: number }
}

const KEYS = 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'

const denied = [
  'the credentials have no right to list, read, write and delete in the bucket',
  'allow them s3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject, s3:PutObject, s3:DeleteObject and ' +
    `s3:AbortMultipartUpload, or set others in ${KEYS}`
] as const

/** What an answer at start means for the operator, and what to do. */
const explanations: Record<string, readonly [reason: string, remedy: string]> = {
  NoSuchBucket: ['the bucket does not exist', 'create it, or correct the bucket in STORAGE_URL'],
  AccessDenied: denied,
  AllAccessDisabled: denied,
  InvalidAccessKeyId: ['the access key does not exist', 'correct AWS_ACCESS_KEY_ID'],
  SignatureDoesNotMatch: ['the secret key is wrong', 'correct AWS_SECRET_ACCESS_KEY'],
  ExpiredToken: ['the credentials have expired', `set new ones in ${KEYS}`],
  InvalidToken: ['the session token is wrong', 'correct AWS_SESSION_TOKEN'],
  CredentialsProviderError: ['there are no credentials', `set ${KEYS}`],
  RegionMissing: ['the region is not set', 'add region=… to STORAGE_URL, or set AWS_REGION'],
  AuthorizationHeaderMalformed: ['the bucket is in another region', 'correct region=… in STORAGE_URL'],
  PermanentRedirect: [
    'the bucket is in another region or at another endpoint', 'correct region=… and endpoint=… in STORAGE_URL'
  ],
  InvalidBucketName: ['the name of the bucket is invalid', 'correct the bucket in STORAGE_URL']
}

/**
 * Translates an error of the SDK. The cause of `file_damaged` has the code ENOENT if the object is missing. Everything
 * else, from a broken connection to a right that was taken away, may work again later: the object may be intact.
 * @throws file_damaged, unavailable.
 */
export function failAsUnavailable (error: unknown): never {
  const { name } = error as SdkError
  if (MISSING.has(name)) {
    const cause = Object.assign(new Error('the object is missing', { cause: error }), { code: 'ENOENT' })
    throw new Problem('file_damaged', { cause })
  }
  if (name === 'InvalidRange') throw new Problem('file_damaged', { cause: new Error('the object is too short') })
  throw new Problem('unavailable', { retrySeconds: 5, resource: 'bucket', cause: error })
}

/** How a request ended, with the error of the SDK, if any. */
export function outcomeOf (error: unknown): BackendRequest['outcome'] {
  if (error === undefined) return 'ok'
  const { name, $metadata } = error as SdkError
  if (name === 'AbortError') return 'cancelled'
  return $metadata?.httpStatusCode === undefined ? 'failed' : 'refused'
}

/** Whether an upload in parts has already been completed or aborted. */
export function isNoUpload (error: unknown): boolean {
  return error instanceof Error && error.name === 'NoSuchUpload'
}

/** Takes the error of `failAsUnavailable`. Throws it again unless the object is missing. */
export function ignoreMissing (error: unknown): void {
  if ((error as Problem).code !== 'file_damaged') throw error
}

/** Says in one line why a store can't be used. @throws {ConfigError} if a setting is wrong, else {OperatorError}. */
export function failAsUnusable (error: unknown, place: string): never {
  const cause = error instanceof Problem ? error.cause : error
  const { name, code, Region } = cause as SdkError
  const explanation = explanations[name]
  if (explanation !== undefined) {
    const [reason, remedy] = explanation
    throw new ConfigError(`STORAGE_URL: ${place} can't be used: ${reason} (${name})`, {
      remedy: Region === undefined ? remedy : `set region=${Region} in STORAGE_URL`, cause
    })
  }
  const fail = (problem: string, remedy: string): never => {
    throw new OperatorError(`STORAGE_URL: ${problem}`, { remedy, cause })
  }
  if (name === 'RequestTimeTooSkewed') {
    fail(`the clock here differs from that of ${place}`, 'set it: timedatectl set-ntp true')
  }
  // The SDK could not read the answer. Its message has two lines.
  if (name === 'Error' && '$response' in (cause as object)) {
    const problem = 'can\'t be used: the endpoint does not answer as an S3-compatible store'
    fail(`${place} ${problem}`, 'correct endpoint=… in STORAGE_URL')
  }
  return fail(`${place} can't be reached: ${code ?? name}`, 'start it, or correct endpoint=… in STORAGE_URL')
}
