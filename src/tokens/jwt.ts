import type { FastifyJWTOptions, JWT } from '@fastify/jwt'
import { LRUCache } from 'lru-cache'
import { Problem } from '../problems.ts'
import type { SigningKey } from './signing-keys.ts'

/** All that is known of the form of an access token (RFC 7519, RFC 9068): one algorithm, one type, these claims. */
const form = {
  algorithm: 'HS256',
  type: 'at+jwt',
  claims: ['jti', 'sub', 'aud', 'iat', 'exp']
} as const

/** Length of an HS256 signature in base64url; its last digit carries two bits that decode to nothing. */
const SIGNATURE_LENGTH = 43

/** Tokens whose signature need not be verified anew for each of their requests; some 500 bytes each. */
const MAX_VERIFIED = 4096

/** What a token says: its own id, whose it is, and from when to when it holds, in milliseconds since 1970. */
export interface AccessClaims { tokenId: number, accountId: number, issuedAt: number, expiresAt: number }

export interface AccessTokenCodec {
  sign (claims: AccessClaims): string
  /** @throws token_malformed where it is not one of ours in its one spelling, token_expired. */
  verify (token: string): { tokenId: number, accountId: number }
}

interface Payload { jti: string, sub: string, exp: number }

/** Options of one `@fastify/jwt` for one key of the ring; the key's id is its namespace. */
export function jwtOptions ({ kid, secret }: SigningKey, audience: string): FastifyJWTOptions {
  return {
    namespace: kid,
    secret,
    sign: { algorithm: form.algorithm, kid, header: { alg: form.algorithm, typ: form.type }, aud: audience },
    verify: { algorithms: [form.algorithm], allowedAud: audience, checkTyp: form.type, requiredClaims: [...form.claims] }
  }
}

/** Signs with the first key of a ring that holds one or more, and verifies with the one that a token's head names. Other keys of that head are not looked at. */
export function createAccessTokenCodec (jwts: Record<string, JWT>, ring: SigningKey[]): AccessTokenCodec {
  const signer = jwts[(ring[0] as SigningKey).kid] as JWT
  const verifiers = new Map(ring.map(({ kid }) => [kid, jwts[kid] as JWT]))
  // A good signature stays good while the ring is the same; whether the token was revoked, its row tells at every request.
  const verified = new LRUCache<string, Payload>({ max: MAX_VERIFIED })

  function verifySignature (token: string): Payload {
    const verifier = verifiers.get(keyIdOf(token) ?? '')
    if (verifier === undefined || !hasOneSpelling(token)) throw new Problem('token_malformed')
    try {
      const payload = verifier.verify<Payload>(token)
      verified.set(token, payload)
      return payload
    } catch (error) {
      throw new Problem((error as { code?: string }).code === 'FAST_JWT_EXPIRED' ? 'token_expired' : 'token_malformed', { cause: error })
    }
  }

  return {
    sign: ({ tokenId, accountId, issuedAt, expiresAt }) => signer.sign({
      jti: String(tokenId),
      sub: String(accountId),
      iat: Math.floor(issuedAt / 1000),
      // Rounded up: the token's row ends it to the millisecond, and this claim must not end it sooner.
      exp: Math.ceil(expiresAt / 1000)
    }),

    verify (token) {
      const payload = verified.get(token) ?? verifySignature(token)
      if (Date.now() >= payload.exp * 1000) throw new Problem('token_expired')
      return { tokenId: Number(payload.jti), accountId: Number(payload.sub) }
    }
  }
}

/** The `kid` of an unverified head; undefined where there is none. */
function keyIdOf (token: string): string | undefined {
  try {
    const head: unknown = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString())
    return typeof head === 'object' && head !== null && 'kid' in head && typeof head.kid === 'string' ? head.kid : undefined
  } catch {
    return undefined
  }
}

/** Head and payload are signed as text; only the signature itself could be spelled in four ways. */
function hasOneSpelling (token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return signature.length === SIGNATURE_LENGTH && Buffer.from(signature, 'base64url').toString('base64url') === signature
}
