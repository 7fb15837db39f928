import { createHash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

const PREFIX = 'mst_'
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Random characters: 178 bits. */
const SECRET_LENGTH = 30

/** As many as 32 bits need in base62. */
const CHECKSUM_LENGTH = 6

/** A new personal access token: a prefix that scanners know it by, the secret, and a checksum that a mistyped one fails. */
export function createPersonalToken (): string {
  const secret = Array.from({ length: SECRET_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  return PREFIX + secret + checksum(secret)
}

/** Whether text is spelled like a personal token, its checksum included: what is not needs no look-up. */
export function isPersonalToken (text: string): boolean {
  const secret = text.slice(PREFIX.length, PREFIX.length + SECRET_LENGTH)
  return /^mst_[0-9A-Za-z]{36}$/.test(text) && text.endsWith(checksum(secret))
}

/** What is stored of a personal token, in hex. It is random enough that a plain hash can't be searched. */
export function hashPersonalToken (token: string): string {
  return createHash('sha256').update(token).digest('hex')
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
