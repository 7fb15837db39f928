import type { FastifyJWTOptions, JwtHeader, TokenOrHeader } from '@fastify/jwt'
import type { FastifyReply, FastifyRequest } from 'fastify'
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

/** Signs and verifies access tokens with `@fastify/jwt`. */
export interface AccessTokens {
  /** The options of the plugin, which is registered once. */
  readonly pluginOptions: FastifyJWTOptions
  sign (reply: FastifyReply, claims: AccessClaims): Promise<string>
  /** Does not check the expiry: the caller compares it with the database's clock. @throws token_malformed if the signature, format or encoding is wrong. */
  verify (request: FastifyRequest, token: string): Promise<Omit<AccessClaims, 'issuedAt'>>
}

interface Payload { jti: string, sub: string, exp: number }

/**
 * Signs with the first key of the ring, and verifies with the key that a token's `kid` header names. Keys in the token's own
 * header (`jwk`, `jku`, `x5u`) are ignored.
 */
export function createAccessTokens (ring: KeyRing, audience: string): AccessTokens {
  let keys: readonly SigningKey[] = []
  // As long as the keys are the same, so is the result. Revocation is checked in the database on every request.
  let verified = new LRUCache<string, Payload>({ max: MAX_CACHED })

  // The tokens of requests, as `authenticate` found them: they also come with Basic and Token.
  const presented = new WeakMap<FastifyRequest, string>()
  const signingKey = () => keys[0] as SigningKey

  async function refresh (): Promise<void> {
    const current = await ring.current()
    if (current === keys) return
    keys = current
    verified = new LRUCache({ max: MAX_CACHED })
  }

  async function findSecret (kid: unknown): Promise<string> {
    const isMeant = (key: SigningKey) => key.kid === kid
    // Another process may have signed with a key that was added a moment ago.
    const key = (await ring.current()).find(isMeant) ?? (await ring.latest()).find(isMeant)
    if (key === undefined) throw new Problem('token_malformed')
    return key.secret
  }

  async function verifySignature (request: FastifyRequest, token: string): Promise<Payload> {
    presented.set(request, token)
    try {
      const payload = await request.jwtVerify<Payload>()
      // With `ignoreExpiration` the verifier does not check `exp` at all, not even its type.
      if (typeof payload.exp !== 'number') throw new TypeError('exp is no number')
      return payload
    } catch (cause) {
      throw new Problem('token_malformed', { cause })
    }
  }

  return {
    pluginOptions: {
      secret: {
        // Called before `sign` goes on: `kid` names the same key.
        private: (_request, _claims, done) => done(null, signingKey().secret),
        public: (_request: FastifyRequest, token: TokenOrHeader) => findSecret((token as { header: JwtHeader }).header.kid)
      },
      decode: { complete: true },
      sign: { algorithm: format.algorithm, header: { alg: format.algorithm, typ: format.type }, aud: audience },
      verify: { algorithms: [format.algorithm], allowedAud: audience, checkTyp: format.type, requiredClaims: [...format.claims], ignoreExpiration: true, extractToken: request => presented.get(request) }
    },

    async sign (reply, { tokenId, accountId, issuedAt, expiresAt }) {
      await refresh()
      return reply.jwtSign({
        jti: String(tokenId),
        sub: String(accountId),
        iat: Math.floor(issuedAt / 1000),
        // Rounded up: the database has the exact time, and this claim must not be earlier.
        exp: Math.ceil(expiresAt / 1000)
      }, { kid: signingKey().kid })
    },

    async verify (request, token) {
      await refresh()
      // Kept with the keys of now, also if they change meanwhile.
      const cache = verified
      let payload = cache.get(token)
      if (payload === undefined) {
        if (!isCanonical(token)) throw new Problem('token_malformed')
        payload = await verifySignature(request, token)
        cache.set(token, payload)
      }
      return { tokenId: Number(payload.jti), accountId: Number(payload.sub), expiresAt: payload.exp * 1000 }
    }
  }
}

/** Four different last characters of a signature decode to the same bytes; only one is canonical. The rest of a token is signed as text. */
function isCanonical (token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return signature.length === SIGNATURE_LENGTH && Buffer.from(signature, 'base64url').toString('base64url') === signature
}
