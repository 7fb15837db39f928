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

interface Payload { jti: string, sub: string, exp: number }

/**
 * Access tokens, by `@fastify/jwt`: signed with the first key of the ring, and verified with the key that the `kid`
 * header of a token names. Keys in that header (`jwk`, `jku`, `x5u`) are ignored.
 */
export class AccessTokens {
  readonly #ring: KeyRing
  readonly #audience: string
  /** The tokens of requests, as `authenticate` found them: they also come with Basic and Token. */
  readonly #presented = new WeakMap<FastifyRequest, string>()
  #keys: readonly SigningKey[] = []
  /** Valid until the keys change. Revocation is checked in the database on every request. */
  #verified = new LRUCache<string, Payload>({ max: MAX_CACHED })

  constructor (ring: KeyRing, audience: string) {
    this.#ring = ring
    this.#audience = audience
  }

  /** The options of the plugin, which is registered once. */
  get pluginOptions (): FastifyJWTOptions {
    const { algorithm, type, claims } = format
    return {
      secret: {
        // Called before `sign` goes on: `kid` names the same key.
        private: (_request, _claims, done) => done(null, this.#signingKey.secret),
        public: (_request: FastifyRequest, token: TokenOrHeader) => this.#findSecret(token as { header: JwtHeader })
      },
      decode: { complete: true },
      sign: { algorithm, header: { alg: algorithm, typ: type }, aud: this.#audience },
      verify: {
        algorithms: [algorithm],
        allowedAud: this.#audience,
        checkTyp: type,
        requiredClaims: [...claims],
        ignoreExpiration: true,
        extractToken: request => this.#presented.get(request)
      }
    }
  }

  async sign (reply: FastifyReply, { tokenId, accountId, issuedAt, expiresAt }: AccessClaims): Promise<string> {
    await this.#refresh()
    return reply.jwtSign({
      jti: String(tokenId),
      sub: String(accountId),
      iat: Math.floor(issuedAt / 1000),
      // Rounded up: the database has the exact time, and this claim must not be earlier.
      exp: Math.ceil(expiresAt / 1000)
    }, { kid: this.#signingKey.kid })
  }

  /**
   * Does not check the expiry: the caller compares it with the database's clock.
   * @throws token_malformed if the signature, format or encoding is wrong.
   */
  async verify (request: FastifyRequest, token: string): Promise<Omit<AccessClaims, 'issuedAt'>> {
    await this.#refresh()
    // The cache of the current keys, even if they change meanwhile.
    const cache = this.#verified
    let payload = cache.get(token)
    if (payload === undefined) {
      if (!isCanonical(token)) throw new Problem('token_malformed')
      payload = await this.#verifySignature(request, token)
      cache.set(token, payload)
    }
    return { tokenId: Number(payload.jti), accountId: Number(payload.sub), expiresAt: payload.exp * 1000 }
  }

  get #signingKey (): SigningKey {
    return this.#keys[0] as SigningKey
  }

  async #refresh (): Promise<void> {
    const current = await this.#ring.current()
    if (current === this.#keys) return
    this.#keys = current
    this.#verified = new LRUCache({ max: MAX_CACHED })
  }

  async #findSecret ({ header }: { header: JwtHeader }): Promise<string> {
    if (typeof header.kid !== 'string') throw new Problem('token_malformed')
    const isMeant = ({ kid }: SigningKey) => kid === header.kid
    // Another process may have signed with a key that was added a moment ago.
    const key = (await this.#ring.current()).find(isMeant) ?? (await this.#ring.latest()).find(isMeant)
    if (key === undefined) throw new Problem('token_malformed')
    return key.secret
  }

  async #verifySignature (request: FastifyRequest, token: string): Promise<Payload> {
    this.#presented.set(request, token)
    try {
      const payload = await request.jwtVerify<Payload>()
      // With `ignoreExpiration` the verifier does not check `exp` at all, not even its type.
      if (typeof payload.exp !== 'number') throw new TypeError('exp is no number')
      return payload
    } catch (cause) {
      throw new Problem('token_malformed', { cause })
    }
  }
}

/**
 * Four different last characters of a signature decode to the same bytes; only one is canonical. The rest of a token is
 * signed as text.
 */
function isCanonical (token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return signature.length === SIGNATURE_LENGTH && Buffer.from(signature, 'base64url').toString('base64url') === signature
}
