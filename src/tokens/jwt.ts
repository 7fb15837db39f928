import type { FastifyJWTOptions, JWT } from '@fastify/jwt'
import { LRUCache } from 'lru-cache'
import type { SigningKey } from '../config/signing-keys.ts'
import { Problem } from '../problems.ts'
import type { KeyRing } from './key-ring.ts'

/** The format of an access token (RFC 7519, RFC 9068): one algorithm, one type, these claims. */
const format = {
  algorithm: 'HS256',
  type: 'at+jwt',
  claims: ['jti', 'sub', 'aud', 'iat', 'exp']
} as const

/** Length of an HS256 signature in base64url; two bits of its last character are unused. */
const SIGNATURE_LENGTH = 43

/** Tokens whose verified signature is cached; about 500 bytes each. */
const MAX_CACHED = 4096

/** The claims of a token: its id, its account, and when it was issued and expires, in milliseconds since 1970. */
export interface AccessClaims { tokenId: number, accountId: number, issuedAt: number, expiresAt: number }

export interface AccessTokenCodec {
  sign (claims: AccessClaims): Promise<string>
  /** Does not check the expiry: the caller compares it with the database's clock. @throws token_malformed if the signature, format or encoding is wrong. */
  verify (token: string): Promise<{ tokenId: number, accountId: number, expiresAt: number }>
}

/** Instances of `@fastify/jwt` by the id of their key. */
type Jwts = Record<string, JWT>

/** What makes the instances: one for each key. */
export type RegisterJwts = (keys: readonly SigningKey[]) => Promise<Jwts>

interface Payload { jti: string, sub: string, exp: number }

/** Options of the `@fastify/jwt` instance for one key of the ring; the key's id is its namespace. */
export function jwtOptions ({ kid, secret }: SigningKey, audience: string): FastifyJWTOptions {
  return {
    namespace: kid,
    secret,
    sign: { algorithm: format.algorithm, kid, header: { alg: format.algorithm, typ: format.type }, aud: audience },
    verify: { algorithms: [format.algorithm], allowedAud: audience, checkTyp: format.type, requiredClaims: [...format.claims], ignoreExpiration: true }
  }
}

/**
 * Signs with the first key of the ring, and verifies with the key that a token's `kid` header names. Keys in the token's own
 * header (`jwk`, `jku`, `x5u`) are ignored.
 */
export async function createAccessTokenCodec (ring: KeyRing, registerJwts: RegisterJwts): Promise<AccessTokenCodec> {
  let keys = await ring.current()
  let jwts = await registerJwts(keys)
  // As long as the keys are the same, so is the result. Revocation is checked in the database on every request.
  const cache = new LRUCache<string, Payload>({ max: MAX_CACHED })

  let replacing: Promise<void> | undefined

  async function use (current: readonly SigningKey[]): Promise<void> {
    if (current !== keys) await (replacing ??= replaceKeys(current).finally(() => { replacing = undefined }))
  }

  async function replaceKeys (current: readonly SigningKey[]): Promise<void> {
    jwts = await registerJwts(current)
    keys = current
    cache.clear()
  }

  async function verifySignature (token: string): Promise<Payload> {
    const kid = keyIdOf(token)
    // Another process may have signed with a key that was added a moment ago.
    if (kid !== undefined && !keys.some(key => key.kid === kid)) await use(await ring.latest())
    const verifier = keys.some(key => key.kid === kid) ? jwts[String(kid)] : undefined
    if (verifier === undefined || !isCanonical(token)) throw new Problem('token_malformed')
    try {
      const payload = verifier.verify<Payload>(token)
      // With `ignoreExpiration` the verifier does not check `exp` at all, not even its type.
      if (typeof payload.exp !== 'number') throw new TypeError('exp is no number')
      cache.set(token, payload)
      return payload
    } catch (error) {
      throw new Problem('token_malformed', { cause: error })
    }
  }

  return {
    async sign ({ tokenId, accountId, issuedAt, expiresAt }) {
      await use(await ring.current())
      const signer = jwts[(keys[0] as SigningKey).kid] as JWT
      return signer.sign({
        jti: String(tokenId),
        sub: String(accountId),
        iat: Math.floor(issuedAt / 1000),
        // Rounded up: the database has the exact time, and this claim must not be earlier.
        exp: Math.ceil(expiresAt / 1000)
      })
    },

    async verify (token) {
      await use(await ring.current())
      const payload = cache.get(token) ?? await verifySignature(token)
      return { tokenId: Number(payload.jti), accountId: Number(payload.sub), expiresAt: payload.exp * 1000 }
    }
  }
}

/** The `kid` of an unverified header; undefined if there is none. */
function keyIdOf (token: string): string | undefined {
  try {
    const header: unknown = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString())
    return typeof header === 'object' && header !== null && 'kid' in header && typeof header.kid === 'string' ? header.kid : undefined
  } catch {
    return undefined
  }
}

/** Four different last characters of a signature decode to the same bytes; only one is canonical. The rest of a token is signed as text. */
function isCanonical (token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return signature.length === SIGNATURE_LENGTH && Buffer.from(signature, 'base64url').toString('base64url') === signature
}
