import { randomBytes } from 'node:crypto'
import { ConfigError } from '../problems.ts'

/** HS256 requires a key at least as long as its hash (RFC 7518 section 3.2). */
const MIN_SECRET_BYTES = 32

/** A secret with fewer different characters is a placeholder. */
const MIN_SECRET_CHARACTERS = 8

/** Secrets from public examples that are long enough, but known to everyone. */
const PUBLISHED_SECRETS = new Set([
  'the quick brown fox jumps over the lazy dog',
  'a-string-secret-at-least-256-bits-long',
  'super-secret-jwt-token-with-at-least-32-characters-long',
  'your-super-secret-jwt-token-with-at-least-32-characters-long',
  'secretsecretsecretsecretsecretsecret'
])

/** `kid:secret`; the kid is copied into token headers unchanged. */
const KEY_ITEM = /^([A-Za-z0-9_-]{1,32}):([^]+)$/

/**
 * A key that signs and verifies access tokens, or one that seals secrets. `kid` is the key id in the header of a token
 * (RFC 7515 section 4.1.4), and the first part of a sealed text.
 */
export interface SigningKey { readonly kid: string, readonly secret: string }

/** A new random key of 256 bits, the size of an HS256 hash. */
export function createSigningKey (): SigningKey {
  return { kid: randomBytes(6).toString('hex'), secret: randomBytes(32).toString('base64url') }
}

/** Keys as lines of `kid:secret`, the form of the key file. */
export function signingKeyLines (keys: readonly SigningKey[]): string {
  return keys.map(({ kid, secret }) => `${kid}:${secret}\n`).join('')
}

/** A `kid:secret` item, and where it was read from. */
interface KeyItem { readonly text: string, readonly place: string }

/**
 * Parses a key ring.
 * @throws {ConfigError} for an item that is malformed, weak or repeats a kid. The message names the place, never the
 * text.
 */
export function parseSigningKeys (items: KeyItem[]): SigningKey[] {
  const keys = items.map(signingKey)
  const repeated = items[keys.findIndex(({ kid }, index) => keys.slice(0, index).some(key => key.kid === kid))]
  if (repeated !== undefined) throw new ConfigError(`${repeated.place}: another key has the same kid`)
  return keys
}

function signingKey ({ text, place }: KeyItem): SigningKey {
  const [, kid, secret] = KEY_ITEM.exec(text) ?? []
  const refuse = (reason: string): never => { throw new ConfigError(`${place}: ${reason}`) }
  if (kid === undefined || secret === undefined) {
    return refuse('expected kid:secret, with a kid of 1 to 32 letters, digits, _ or -')
  }
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) refuse(`the secret has fewer than ${MIN_SECRET_BYTES} bytes`)
  if (PUBLISHED_SECRETS.has(secret.toLowerCase())) {
    refuse('the secret is from a published example, so everyone knows it')
  }
  if (new Set(secret).size < MIN_SECRET_CHARACTERS) {
    refuse(`the secret has fewer than ${MIN_SECRET_CHARACTERS} different characters`)
  }
  return { kid, secret }
}

/** Where keys are kept, for all processes that use them. The first key is used, the others are known. */
export interface KeyStore {
  /** Makes one if there is none yet, once, however many processes ask. */
  readonly read: () => Promise<readonly SigningKey[]>
  /** The keys as they are now; undefined if there are none. */
  readonly find: () => Promise<readonly SigningKey[] | undefined>
  /** Replaces them by what `change` makes of them, as one change: no other process changes them at the same time. */
  readonly change: (change: (keys: readonly SigningKey[]) => SigningKey[]) => Promise<unknown>
}
