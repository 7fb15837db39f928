import { createHash, randomBytes } from 'node:crypto'
import type { Origin } from '../accounts/network.ts'
import type { SignedIn } from '../accounts/sign-in.ts'
import type { AccountRecord, TokenAndAccount } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { factorsOf, type IssuedToken, type SessionClient } from './tokens.ts'

/** Lifetime of a session. Use does not extend it. */
export const SESSION_SECONDS = 30 * 24 * 3600

/** The name of the cookie without TLS, and in the document. */
export const SESSION_COOKIE = 'magicstore_session'

const SECRET_BYTES = 32

/** A secret as it is sent: base64url of 32 bytes. */
export const SECRET_PATTERN = '^[A-Za-z0-9_-]{43}$'

const SECRET = new RegExp(SECRET_PATTERN)

/**
 * The two secrets of a session; each is useless without the other. Scripts can't read the cookie, but browsers send it
 * to every port of the host, and every port can set it (RFC 6265 section 8.5). Only pages of the same origin, which
 * includes the port, can read the key.
 */
export interface SessionSecrets { readonly cookie: string, readonly key: string }

/** A new access token of a session. */
interface RenewedSession extends IssuedToken { username: string, sessionId: number }

/** Sessions of the page. A session is a token of the account that only creates access tokens. */
export function createSessions ({ metadata, tokens }: Pick<AppServices, 'metadata' | 'tokens'>) {
  async function find ({ cookie = '', key = '' }: Partial<SessionSecrets>): Promise<TokenAndAccount | undefined> {
    return SECRET.test(cookie) && SECRET.test(key) ? tokens.findSession(hashOf({ cookie, key })) : undefined
  }

  return {
    /**
     * Creates a session and its first access token. The secrets are returned only here.
     * @throws too_many_tokens, and credentials_wrong if the password or a factor has changed since the request was
     * authenticated.
     */
    async create (signedIn: SignedIn, client: SessionClient, origin: Origin): Promise<RenewedSession & SessionSecrets> {
      const { account } = signedIn
      const secrets = { cookie: createSecret(), key: createSecret() }
      const added = { secretHash: hashOf(secrets), lifetimeMilliseconds: SESSION_SECONDS * 1000, client }
      const session = await tokens.addSession(signedIn, origin, added)
      try {
        const issued = await unlessRevoked(tokens.issue(signedIn, origin, session))
        // A change of the password or of the factors has ended it meanwhile.
        if (issued === undefined) throw new Problem('credentials_wrong')
        return { ...secrets, username: account.username, sessionId: session.id, ...issued }
      } catch (error) {
        // The client never gets its secrets.
        await metadata.tokens.remove(account.id, session.id).catch(() => {})
        throw error
      }
    },

    /**
     * Creates an access token; undefined if no active session has these secrets, or its account is disabled.
     * @throws too_many_tokens.
     */
    async renew (secrets: Partial<SessionSecrets>, origin: Origin): Promise<RenewedSession | undefined> {
      const found = await find(secrets)
      if (found === undefined || found.account.disabledAt !== null) return undefined
      const { account, token } = found
      const issued = await unlessRevoked(tokens.issue({ account, factors: factorsOf(token) }, origin, token))
      return issued && { username: account.username, sessionId: token.id, ...issued }
    },

    /** The id of the session with these secrets; undefined if there is no active one. */
    async findId (secrets: Partial<SessionSecrets>): Promise<number | undefined> {
      return (await find(secrets))?.token.id
    },

    /** Revokes a session and its access tokens. Returns its account; undefined if there is no such session. */
    async end (secrets: Partial<SessionSecrets>): Promise<AccountRecord | undefined> {
      const found = await find(secrets)
      return found && unlessRevoked(tokens.revokeCurrent(found.token).then(() => found.account))
    }
  }
}

function createSecret (): string {
  return randomBytes(SECRET_BYTES).toString('base64url')
}

/** The stored hash of the two secrets, in hex. An unsalted hash is enough, because each has 256 random bits. */
function hashOf ({ cookie, key }: SessionSecrets): string {
  return createHash('sha256').update(`${cookie}.${key}`).digest('hex')
}

/** Undefined if the session was revoked after it was found. */
async function unlessRevoked<Result> (result: Promise<Result>): Promise<Result | undefined> {
  try {
    return await result
  } catch (error) {
    if (error instanceof Problem && error.code === 'token_revoked') return undefined
    throw error
  }
}
