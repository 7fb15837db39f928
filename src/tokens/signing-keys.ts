import { randomBytes } from 'node:crypto'
import { ConfigError } from '../problems.ts'

/** Shortest signing secret taken: HS256 wants a key no shorter than its hash (RFC 7518 section 3.2). */
const MIN_SECRET_BYTES = 32

/** A secret of fewer different characters is a placeholder, not a secret. */
const MIN_SECRET_CHARACTERS = 8

/** Secrets of sufficient length that stand in public examples, so anyone could sign with them. */
const PUBLISHED_SECRETS = new Set([
  'the quick brown fox jumps over the lazy dog',
  'a-string-secret-at-least-256-bits-long',
  'super-secret-jwt-token-with-at-least-32-characters-long',
  'your-super-secret-jwt-token-with-at-least-32-characters-long',
  'secretsecretsecretsecretsecretsecret'
])

/** Key ids that go into the head of a token as they are. */
const KEY_ITEM = /^([A-Za-z0-9_-]{1,32}):([^]+)$/

/** One key of the ring that signs and verifies access tokens. `kid` goes into the token's head (RFC 7515 section 4.1.4). */
export interface SigningKey { readonly kid: string, readonly secret: string }

/** A fresh key: 256 bits, as many as HS256 can use (RFC 7518 section 3.2). */
export function createSigningKey (): SigningKey {
  return { kid: randomBytes(6).toString('hex'), secret: randomBytes(32).toString('base64url') }
}

/** A `kid:secret` item, and where the operator finds it. */
export interface KeyItem { readonly text: string, readonly place: string }

/** Reads a key ring. @throws {ConfigError} for an item that is no key, weak or a second one of its kid; it tells the place, and nothing of the text. */
export function parseSigningKeys (items: KeyItem[]): SigningKey[] {
  const keys = items.map(signingKey)
  const repeated = items[keys.findIndex(({ kid }, index) => keys.slice(0, index).some(key => key.kid === kid))]
  if (repeated !== undefined) throw new ConfigError(`${repeated.place}: another key has this kid`)
  return keys
}

function signingKey ({ text, place }: KeyItem): SigningKey {
  const [, kid, secret] = KEY_ITEM.exec(text) ?? []
  if (kid === undefined || secret === undefined) throw new ConfigError(`${place}: expected kid:secret, with a kid of 1 to 32 letters, digits, _ or -`)
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) throw new ConfigError(`${place}: the secret has fewer than ${MIN_SECRET_BYTES} bytes`)
  if (PUBLISHED_SECRETS.has(secret.toLowerCase())) throw new ConfigError(`${place}: the secret is published in examples, so anyone could sign with it`)
  if (new Set(secret).size < MIN_SECRET_CHARACTERS) throw new ConfigError(`${place}: the secret has fewer than ${MIN_SECRET_CHARACTERS} different characters`)
  return { kid, secret }
}
