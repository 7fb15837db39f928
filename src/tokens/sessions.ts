import { createHash, randomBytes } from 'node:crypto'
import type { Origin } from '../accounts/network.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { IssuedToken, Tokens } from './tokens.ts'

/** Lifetime of a session. Use does not extend it. */
export const SESSION_SECONDS = 30 * 24 * 3600

const SECRET_BYTES = 32

/** A secret as it is sent: base64url of 32 bytes. */
const SECRET = /^[A-Za-z0-9_-]{43}$/

/** A new access token of a session. */
export interface RenewedSession extends IssuedToken { username: string, sessionId: number }

/** Sessions of the page. A session is a token of the account that only creates access tokens. */
export interface Sessions {
  /**
   * Creates a session and its first access token. The secret is returned only here.
   * @throws too_many_tokens, and credentials_wrong if the password has changed since the request was authenticated.
   */
  create (account: AccountRecord, origin: Origin): Promise<RenewedSession & { secret: string }>
  /** Creates an access token; undefined if no active session has this secret, or its account is disabled. @throws too_many_tokens. */
  renew (secret: string, origin: Origin): Promise<RenewedSession | undefined>
  /** Revokes a session and its access tokens. Returns the id of its account; undefined if there is no such session. */
  end (secret: string): Promise<number | undefined>
}

export function createSessions (tokens: Tokens): Sessions {
  return {
    async create (account, origin) {
      const secret = randomBytes(SECRET_BYTES).toString('base64url')
      const session = await tokens.addSession(account, origin, { secretHash: hashOf(secret), lifetimeMilliseconds: SESSION_SECONDS * 1000 })
      try {
        return { secret, username: account.username, sessionId: session.id, ...await tokens.issue(account, origin, session) }
      } catch (error) {
        // The client never gets its secret.
        await tokens.revoke(account.id, session.id).catch(() => {})
        throw error
      }
    },

    async renew (secret, origin) {
      const found = await find(secret)
      if (found === undefined || found.account.disabledAt !== null) return undefined
      const { account, token } = found
      const issued = await unlessRevoked(tokens.issue(account, origin, token))
      return issued && { username: account.username, sessionId: token.id, ...issued }
    },

    async end (secret) {
      const found = await find(secret)
      return found && unlessRevoked(tokens.revokeCurrent(found.token).then(() => found.account.id))
    }
  }

  async function find (secret: string) {
    return SECRET.test(secret) ? tokens.findSession(hashOf(secret)) : undefined
  }
}

/** The stored hash of a secret, in hex. An unsalted hash is enough, because the secret has 256 random bits. */
function hashOf (secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
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
