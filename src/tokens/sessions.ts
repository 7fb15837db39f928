import { hash, randomBytes } from 'node:crypto'
import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { originOf } from '../accounts/network.ts'
import type { SignedIn } from '../accounts/sign-in.ts'
import { publicFolder } from '../http/links.ts'
import { SESSION_KEY } from '../http/cors.ts'
import { type AccountRecord, NO_PASSWORD, type TokenAndAccount } from '../metadata/records.ts'
import { ifNot, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { factorsOf, type SessionClient } from './tokens.ts'

export const SESSION_PATH = '/api/session'

/** Lifetime of a session that no provider began. Use does not extend it. */
const SESSION_SECONDS = 30 * 24 * 3600

/** The name of the cookie without TLS, and in the document. */
export const SESSION_COOKIE = 'magicstore_session'

/** Browsers accept a cookie of this name only over TLS and only from this host (RFC 6265bis section 4.1.3.2). */
const SECURE_COOKIE = `__Host-${SESSION_COOKIE}`

const SECRET_BYTES = 32

/** A secret as it is sent: base64url of 32 bytes. */
export const SECRET_PATTERN = '^[A-Za-z0-9_-]{43}$'

const SECRET = new RegExp(SECRET_PATTERN)

/** Longer than that of any browser. */
const MAX_USER_AGENT_LENGTH = 512

/**
 * The two secrets of a session; each is useless without the other. Scripts can't read the cookie, but browsers send it
 * to every port of the host, and every port can set it (RFC 6265 section 8.5). Only pages of the same origin, which
 * includes the port, can read the key.
 */
interface SessionSecrets { readonly cookie: string, readonly key: string }

export type SessionRequests = ReturnType<typeof createSessionRequests>

/**
 * The sessions that requests begin, use and end. For Fastify scopes with `@fastify/cookie`. A session is a token of the
 * account that only creates access tokens.
 */
export function createSessionRequests (
  { config, metadata, securityLog, tokens }: Pick<AppServices, 'config' | 'metadata' | 'securityLog' | 'tokens'>
) {
  async function find (request: FastifyRequest): Promise<TokenAndAccount | undefined> {
    const cookie = request.cookies[cookieName(request)] ?? ''
    const key = request.headers[SESSION_KEY]?.toString() ?? ''
    return SECRET.test(cookie) && SECRET.test(key) ? tokens.findSession(hashOf({ cookie, key })) : undefined
  }

  /** Revokes the session of the request, if it has one, and its access tokens. */
  async function end (request: FastifyRequest): Promise<void> {
    const found = await find(request)
    const account = found && await ifNot('token_revoked', tokens.revokeCurrent(found.token).then(() => found.account))
    if (account !== undefined) securityLog.record({ kind: 'token_revoked', account, ...originOf(request) })
  }

  /** The prefix `__Host-` requires the path `/`. Without TLS, browsers send the cookie only to these operations. */
  function attributesFor ({ protocol }: FastifyRequest): CookieSerializeOptions {
    const { publicUrl } = config
    const shared = { httpOnly: true, sameSite: 'strict' } as const
    if (protocol === 'https') return { ...shared, secure: true, path: '/' }
    return { ...shared, path: publicFolder(publicUrl) + SESSION_PATH }
  }

  return {
    /**
     * Creates a session for the page that sends the request, in place of the one that it has, and sets the cookie.
     * Returns the body of the response: its key is returned only here.
     * @throws too_many_tokens, and credentials_wrong if the password or a factor has changed since the request was
     * authenticated.
     */
    async begin (request: FastifyRequest, reply: FastifyReply, signedIn: SignedIn) {
      // A sign-in replaces the session of the browser (OWASP ASVS 5.0, V7.2.4).
      await end(request)
      const { account } = signedIn
      const origin = originOf(request)
      const secrets = { cookie: createSecret(), key: createSecret() }
      const client = await clientOf(request)
      const maxAge = signedIn.factors.includes('oidc') ? config.oidcSessionSeconds : SESSION_SECONDS
      const added = { secretHash: hashOf(secrets), lifetimeMilliseconds: maxAge * 1000, client }
      const session = await tokens.addSession(signedIn, origin, added)
      try {
        const issued = await ifNot('token_revoked', tokens.issue(signedIn, origin, session))
        // A change of the password or of the factors has ended it meanwhile.
        if (issued === undefined) throw new Problem('credentials_wrong')
        securityLog.record({ kind: 'session_created', account, ...origin })
        reply.setCookie(cookieName(request), secrets.cookie, { ...attributesFor(request), maxAge })
        return { ...issued, key: secrets.key, ...ownerOf(account), sessionId: session.id }
      } catch (error) {
        // The client never gets its secrets.
        await metadata.tokens.remove(account.id, session.id).catch(() => {})
        throw error
      }
    },

    /**
     * The session of the request with a new access token; undefined if it has none that is active, or if its account is
     * disabled. @throws too_many_tokens.
     */
    async renew (request: FastifyRequest) {
      const found = await find(request)
      if (found === undefined || found.account.disabledAt !== null) return undefined
      const { account, token } = found
      const signedIn = { account, factors: factorsOf(token) }
      const issued = await ifNot('token_revoked', tokens.issue(signedIn, originOf(request), token))
      return issued && { ...issued, ...ownerOf(account), sessionId: token.id }
    },

    /** The id of the session that the request has; undefined if it has none. */
    async findId (request: FastifyRequest): Promise<number | undefined> {
      return (await find(request))?.token.id
    },
    end,

    /** Deletes the cookie, if the request has one. */
    clearCookie (request: FastifyRequest, reply: FastifyReply): void {
      const name = cookieName(request)
      if (request.cookies[name] !== undefined) reply.clearCookie(name, attributesFor(request))
    }
  }
}

/** What the page needs to know of the account. */
function ownerOf ({ username, passwordHash }: AccountRecord) {
  return { username, hasPassword: passwordHash !== NO_PASSWORD }
}

function cookieName ({ protocol }: FastifyRequest): string {
  return protocol === 'https' ? SECURE_COOKIE : SESSION_COOKIE
}

function createSecret (): string {
  return randomBytes(SECRET_BYTES).toString('base64url')
}

/** The stored hash of the two secrets, in hex. An unsalted hash is enough, because each has 256 random bits. */
function hashOf ({ cookie, key }: SessionSecrets): string {
  return hash('sha256', `${cookie}.${key}`)
}

/** Browser and system by the header `User-Agent`; null for all that are not well known: the text could be anything. */
async function clientOf ({ headers: { 'user-agent': userAgent } }: FastifyRequest): Promise<SessionClient> {
  // Loaded on demand: few requests begin a session.
  const { default: bowser } = await import('bowser')
  // It refuses an empty text, and takes long for a long one.
  const { browser, os } = bowser.parse(userAgent?.slice(0, MAX_USER_AGENT_LENGTH) || '-')
  return { browser: knownName(bowser.BROWSER_MAP, browser.name), system: knownName(bowser.OS_MAP, os.name) }
}

function knownName (names: Record<string, string>, name: string | undefined): string | null {
  return Object.values(names).find(known => known === name) ?? null
}
