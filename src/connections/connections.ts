import { hash, randomBytes, randomInt } from 'node:crypto'
import { attemptKey } from '../accounts/attempt-limiter.ts'
import { KEPT_EVENTS } from '../accounts/events.ts'
import { blockOf, networkOf, type Origin } from '../accounts/network.ts'
import type { AttemptOutcome } from '../metadata/attempt-records.ts'
import type { ConnectionRecord } from '../metadata/connections.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { invalidField, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { createPersonalToken, hashPersonalToken, joinScopes, MAX_TOKENS, type Scope } from '../tokens/tokens.ts'

/** How long a connection waits for permission, and then for its program. */
const LIFETIME_MILLISECONDS = 10 * 60_000

/** Open connections of a network, and of all. */
const MAX_OF_NETWORK = 20
const MAX_IN_ALL = 1000

/** The longest lifetime of a token that nobody typed or copied. */
const TOKEN_MILLISECONDS = 90 * 24 * 3600_000

/** Without vowels, so that no code is a word (RFC 8628 section 6.1). Eight letters are 34 bits. */
const ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ'
const CODE_LENGTH = 8

/**
 * Wrong codes of one account: with a thousand open connections, a guess succeeds with a probability of one in 25
 * million.
 */
const MAX_WRONG_CODES = 10
const WINDOW_SECONDS = 15 * 60

/** The scopes that a program can ask for: none may create or revoke other credentials. */
export const connectionScopes = ['files:read', 'files:write', 'links'] as const satisfies readonly Scope[]

interface WantedConnection { readonly name: string, readonly scopes: readonly typeof connectionScopes[number][] }

export type ProgramConnections = ReturnType<typeof createProgramConnections>

/** Connections of programs that have no credential: a person types a code and allows them (the idea of RFC 8628). */
export function createProgramConnections (
  { attemptLimiter, metadata, securityLog }: Pick<AppServices, 'attemptLimiter' | 'metadata' | 'securityLog'>
) {
  const { connections } = metadata

  return {
    /** @throws validation_failed if the name is not well-formed, too_many_connections. */
    async request ({ name, scopes }: WantedConnection, address: string) {
      // The driver would replace ill-formed characters.
      if (!name.isWellFormed()) throw invalidField('name', 'is not well-formed Unicode')
      const [id, secret, userCode] = [randomText(16), randomText(32), createUserCode()]
      const expiresAt = await connections.add({
        id,
        codeHash: hashCode(userCode),
        secretHash: hash('sha256', secret),
        name,
        scopes: joinScopes(scopes),
        network: networkOf(address),
        block: blockOf(address)
      }, { milliseconds: LIFETIME_MILLISECONDS, maxOfNetwork: MAX_OF_NETWORK, maxInAll: MAX_IN_ALL })
      return { id, secret, userCode, expiresAt }
    },

    /** The connection with a code that somebody has typed. @throws not_found, too_many_connection_codes. */
    async find (account: AccountRecord, userCode: string, { network }: Origin): Promise<ConnectionRecord> {
      // Whatever its network: all wrong codes of an account are counted together.
      const counted = {
        kind: 'connection_code', usernameKey: attemptKey(account.usernameKey), isKnownNetwork: true
      } as const
      const limit = { matching: counted, limit: MAX_WRONG_CODES, seconds: WINDOW_SECONDS }
      const finish = await attemptLimiter.acquire({ ...counted, network }, [limit], 'too_many_connection_codes')
      let outcome: AttemptOutcome = 'released'
      try {
        const found = await connections.find(hashCode(userCode))
        if (found !== undefined) return found
        outcome = 'failed'
        throw new Problem('not_found')
      } finally {
        // A right code clears no failures: everybody can request a connection, and type its code.
        await finish(outcome)
      }
    },

    /**
     * The token of a connection that was allowed, and its account; undefined if it was not allowed yet. Only once.
     * @throws not_found, too_many_tokens.
     */
    async pickUp (id: string, secret: string, origin: Origin) {
      const token = createPersonalToken()
      const account = await connections.take(id, hash('sha256', secret), {
        secretHash: hashPersonalToken(token),
        maxTokens: MAX_TOKENS,
        lifetimeMilliseconds: TOKEN_MILLISECONDS,
        event: { kind: 'personal_token_created', ...origin },
        keep: KEPT_EVENTS
      })
      if (account === undefined) return undefined
      securityLog.record({ kind: 'personal_token_created', account, ...origin })
      return { token, account }
    },

    /** Deletes up to `limit` connections that have expired; true if there may be more. */
    async removeExpired (limit: number): Promise<boolean> {
      const removed = await connections.removeExpired(limit)
      for (const { accountId, network } of removed) {
        const account = accountId === null ? undefined : await metadata.accounts.find(accountId)
        if (account !== undefined) securityLog.record({ kind: 'connection_expired', account, network, requestId: '-' })
      }
      return removed.length === limit
    }
  }
}

/** Random bytes as text that an address can have. */
function randomText (bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}

function createUserCode (): string {
  const letters = Array.from({ length: CODE_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  return letters.replace(/^.{4}/, '$&-')
}

/** What is stored of a code. Its case, spaces and punctuation do not count. */
function hashCode (code: string): string {
  return hash('sha256', code.toUpperCase().replace(/[^A-Z]/g, ''))
}
