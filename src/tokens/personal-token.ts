import { hash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

const PREFIX = 'mst_'
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Random characters: 178 bits. */
const SECRET_LENGTH = 30

/** Base62 digits of a 32-bit checksum. */
const CHECKSUM_LENGTH = 6

/** A new personal access token: a prefix for secret scanners, the secret, and a checksum that detects typing errors. */
export function createPersonalToken (): string {
  const secret = Array.from({ length: SECRET_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  return PREFIX + secret + checksum(secret)
}

/** Whether text has the format of a personal token, including the checksum; if not, no database lookup is needed. */
export function isPersonalToken (text: string): boolean {
  const secret = text.slice(PREFIX.length, PREFIX.length + SECRET_LENGTH)
  return /^mst_[0-9A-Za-z]{36}$/.test(text) && text.endsWith(checksum(secret))
}

/** The stored hash of a personal token, in hex. An unsalted hash is enough, because the secret has 178 random bits. */
export function hashPersonalToken (token: string): string {
  return hash('sha256', token)
}

function checksum (secret: string): string {
  let rest = crc32(secret)
  let digits = ''
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits
    rest = Math.floor(rest / ALPHABET.length)
  }
  return digits
}
