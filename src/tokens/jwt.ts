import { randomBytes } from 'node:crypto'
import type { FastifyJWTOptions, JWT } from '@fastify/jwt'
import { LRUCache } from 'lru-cache'
import type { SigningKey } from '../config/signing-keys.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'

/** The format of an access token (RFC 7519, RFC 9068): one algorithm, one type, these claims. */
const algorithm = 'HS256'
const typ = 'at+jwt'
const requiredClaims = ['jti', 'sub', 'aud', 'iat', 'exp']

/** Length of an HS256 signature in base64url; two bits of its last character are unused. */
const SIGNATURE_LENGTH = 43

/**
 * Tokens whose verified signature is cached; about 500 bytes each. GET /api/resource takes 52 µs of CPU time, and 72
 * without a cache.
 */
const MAX_CACHED = 4096

/** The claims of a token: its id, its account, and when it was issued and expires, in milliseconds since 1970. */
export interface AccessClaims { tokenId: number, accountId: number, issuedAt: number, expiresAt: number }

interface Payload { jti: string, sub: string, exp: number }

interface Decoded { header: { kid?: unknown } }

export type AccessTokens = ReturnType<typeof createAccessTokens>

/**
 * Access tokens, by `@fastify/jwt`: signed with the first key of the ring, and verified with the key that the `kid`
 * header of a token names. Keys in that header (`jwk`, `jku`, `x5u`) are ignored.
 */
export function createAccessTokens ({ keyRing, metadata }: Pick<AppServices, 'keyRing' | 'metadata'>) {
  const { installationId: audience } = metadata
  let jwt: JWT
  let keys: readonly SigningKey[] = []
  /** Valid until the keys change. Revocation is checked in the database on every request. */
  let verified = new LRUCache<string, Payload>({ max: MAX_CACHED })

  async function findSecret (kid: unknown): Promise<string> {
    const key = await keyRing.find(key => key.kid === kid)
    if (key === undefined) throw new Error('there is no such key')
    return key.secret
  }

  async function currentKeys (): Promise<readonly SigningKey[]> {
    const current = await keyRing.current()
    if (current !== keys) verified = new LRUCache({ max: MAX_CACHED })
    keys = current
    return keys
  }

  async function read (token: string): Promise<Payload> {
    try {
      const { header } = jwt.decode<Decoded>(token, { complete: true }) as Decoded
      const payload = jwt.verify<Payload>(token, { key: await findSecret(header.kid) })
      // With `ignoreExpiration` the verifier does not check `exp` at all, not even its type.
      if (!isCanonical(token) || typeof payload.exp !== 'number') throw new TypeError('not as we sign')
      return payload
    } catch (cause) {
      throw new Problem('token_malformed', { cause })
    }
  }

  return {
    /** The options of the plugin. */
    pluginOptions: {
      // Not used: each call names its key. A call without one would verify nothing.
      secret: randomBytes(32),
      sign: { algorithm, header: { alg: algorithm, typ }, aud: audience },
      verify: { algorithms: [algorithm], allowedAud: audience, checkTyp: typ, requiredClaims, ignoreExpiration: true }
    } as FastifyJWTOptions,

    /** Takes the plugin, before anything is signed or verified. */
    use (plugin: JWT): void {
      jwt = plugin
    },

    async sign ({ tokenId, accountId, issuedAt, expiresAt }: AccessClaims): Promise<string> {
      const [{ kid, secret }] = await currentKeys() as [SigningKey]
      return jwt.sign({
        jti: String(tokenId),
        sub: String(accountId),
        iat: Math.floor(issuedAt / 1000),
        // Rounded up: the database has the exact time, and this claim must not be earlier.
        exp: Math.ceil(expiresAt / 1000)
      }, { key: secret, kid })
    },

    /**
     * Does not check the expiry: the caller compares it with the database's clock.
     * @throws token_malformed if the signature, format or encoding is wrong.
     */
    async verify (token: string): Promise<Omit<AccessClaims, 'issuedAt'>> {
      await currentKeys()
      // The cache of the current keys, even if they change meanwhile.
      const cache = verified
      const payload = cache.get(token) ?? await read(token)
      cache.set(token, payload)
      return { tokenId: Number(payload.jti), accountId: Number(payload.sub), expiresAt: payload.exp * 1000 }
    }
  }
}

/**
 * Four different last characters of a signature decode to the same bytes; only one is canonical. The rest of a token is
 * signed as text.
 */
function isCanonical (token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return signature.length === SIGNATURE_LENGTH &&
    Buffer.from(signature, 'base64url').toString('base64url') === signature
}
