import { hash, randomBytes } from 'node:crypto'
import type { ClaimRepository, NewClaim } from '../metadata/claims.ts'

/** How long an invitation or a reset can be used. */
export const CLAIM_HOURS = 24

/** The alphabet of base32 (RFC 4648 section 6), in lower case: no digit looks like a letter. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** 160 bits. */
const SECRET_LENGTH = 32

/** Random text of 5 bits in each character, `a-z` and `2-7`. */
export function randomText (length: number): string {
  return Array.from(randomBytes(length), byte => ALPHABET[byte % ALPHABET.length]).join('')
}

/** Whether a text can be the secret of a claim. */
export function isClaimSecret (text: string): boolean {
  return /^(?:inv|rst)_[a-z2-7]{32}$/.test(text)
}

/** What is stored of a secret: its SHA-256 in hex. */
export function hashClaim (secret: string): string {
  return hash('sha256', secret)
}

/** Adds an invitation, or the reset of an account. Returns its secret, and when it expires. */
export async function issueClaim (
  claims: Pick<ClaimRepository, 'add'>, claim: Omit<NewClaim, 'hash'>
): Promise<{ secret: string, expiresAt: number }> {
  const secret = `${claim.accountId === null ? 'inv' : 'rst'}_${randomText(SECRET_LENGTH)}`
  return { secret, expiresAt: await claims.add({ ...claim, hash: hashClaim(secret) }, CLAIM_HOURS * 3600_000) }
}

/** The address that opens the page with a claim. The secret is in the fragment, which no server is sent. */
export function linkOf (base: string, { secret, username }: { secret: string, username: string | null }): string {
  return `${base}/#claim=${secret}${username === null ? '' : `&username=${encodeURIComponent(username)}`}`
}
