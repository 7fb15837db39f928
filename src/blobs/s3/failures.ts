import type { BackendRequest } from '../../monitoring/request-observer.ts'
import { ConfigError, OperatorError, Problem } from '../../problems.ts'

/** Answers of the store where an object is missing. `NotFound` is made from an answer to HEAD. */
const MISSING = new Set(['NoSuchKey', 'NotFound'])

/** An error of the SDK. `name` is the code of the S3 protocol, or the kind of a network failure, which has a `code`. */
interface SdkError {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** With a status if there was an answer. */
  readonly $metadata?: { readonly httpStatusCode?: number }
}

/** What an answer at start means for the operator. */
const remedies: Record<string, string> = {
  NoSuchBucket: 'the bucket does not exist',
  AccessDenied: 'the credentials have no right to list, read, write and delete in the bucket',
  AllAccessDisabled: 'the credentials have no right to list, read, write and delete in the bucket',
  InvalidAccessKeyId: 'the access key does not exist',
  SignatureDoesNotMatch: 'the secret key is wrong',
  ExpiredToken: 'the credentials have expired',
  InvalidToken: 'the session token is wrong',
  CredentialsProviderError: 'there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  RegionMissing: 'the region is not set; add region=… to the address, or set AWS_REGION',
  AuthorizationHeaderMalformed: 'the bucket is in another region',
  PermanentRedirect: 'the bucket is in another region or at another endpoint',
  InvalidBucketName: 'the name of the bucket is invalid'
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
  throw new Problem('unavailable', { headers: { 'retry-after': '5' }, resource: 'bucket', cause: error })
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
  return (error as SdkError).name === 'NoSuchUpload'
}

/** Takes the error of `failAsUnavailable`. Throws it again unless the object is missing. */
export function ignoreMissing (error: unknown): void {
  if ((error as Problem).code !== 'file_damaged') throw error
}

/** Says in one line why a store can't be used. @throws {ConfigError} if a setting is wrong, else {OperatorError}. */
export function failAsUnusable (error: unknown, place: string): never {
  const cause = error instanceof Problem ? error.cause : error
  const { name, code } = cause as SdkError
  const remedy = remedies[name]
  if (remedy !== undefined) throw new ConfigError(`STORAGE_URL: ${place} can't be used: ${remedy} (${name})`, { cause })
  if (name === 'RequestTimeTooSkewed') throw new OperatorError(`STORAGE_URL: the clock here differs from that of ${place}`, { cause })
  // The SDK could not read the answer. Its message has two lines.
  if (name === 'Error' && '$response' in (cause as object)) throw new OperatorError(`STORAGE_URL: ${place} can't be used: the endpoint does not answer as an S3-compatible store`, { cause })
  throw new OperatorError(`STORAGE_URL: ${place} can't be reached: ${code ?? name}`, { cause })
}
