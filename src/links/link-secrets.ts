import { hash, randomInt } from 'node:crypto'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** 22 characters of base62: 131 bits. */
const SECRET_LENGTH = 22

/** The form of a secret. */
export const SECRET_PATTERN = `[0-9A-Za-z]{${SECRET_LENGTH}}`

/** A new secret of a link, uniformly random. */
export function createSecret (): string {
  return Array.from({ length: SECRET_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

/** What is stored of a secret. An unsalted hash is enough, because the secret has 131 random bits. */
export function hashOfSecret (secret: string): string {
  return hash('sha256', secret)
}
