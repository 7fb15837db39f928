import { createHash } from 'node:crypto'

/** In hexadecimal, as entity tags and metadata have it. */
export function sha256Of (bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The value of `Content-Digest` and `Repr-Digest` (RFC 9530). */
export function digestField (algorithm: 'sha-256' | 'sha-512', bytes: string | Uint8Array): string {
  return `${algorithm}=:${createHash(algorithm.replace('-', '')).update(bytes).digest('base64')}:`
}
