import { hash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { KEPT_EVENTS, type EventKind } from '../accounts/events.ts'
import type { Origin } from '../accounts/network.ts'
import type { SignedIn } from '../accounts/sign-in.ts'
import {
  type AccountRecord, type Factor, type NewToken, NO_PASSWORD, type TokenAndAccount, type TokenRecord,
  type VerifiedAccount
} from '../metadata/records.ts'
import { invalidField, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import type { AccessTokens } from './jwt.ts'

/** The scopes of a token. A password, and an access token created with one, has all of them. */
export const scopes = ['files:read', 'files:write', 'account', 'links'] as const
export type Scope = typeof scopes[number]

/** Scopes as they are stored: separated by spaces (RFC 6749 section 3.3), in the order of `scopes`. */
export function joinScopes (granted: readonly Scope[]): string {
  return scopes.filter(scope => granted.includes(scope)).join(' ')
}

export function splitScopes (stored: string): Scope[] {
  return scopes.filter(scope => hasScope(stored, scope))
}

export function hasScope (stored: string, scope: Scope): boolean {
  return stored.split(' ').includes(scope)
}

/** Refuses a token without a scope (RFC 6750 section 3.1). A password has every scope. @throws insufficient_scope. */
export function requireScope (token: { readonly scopes: string } | undefined, scope: Scope): void {
  if (token === undefined || hasScope(token.scopes, scope)) return
  throw new Problem('insufficient_scope', {
    detail: `The token needs the scope ${scope}.`,
    headers: { 'www-authenticate': `Bearer realm="MagicStore", error="insufficient_scope", scope="${scope}"` }
  })
}

/** The time of last use is stored at most once a minute: a write on every request would cost too much. */
const TOUCH_MILLISECONDS = 60_000

/** Tokens of one account; bounds the cost of listing and revoking them. */
export const MAX_TOKENS = 10_000

/** The latest time in RFC 3339, which has four-digit years; an input with a UTC offset can be later. */
const MAX_TIME = Date.parse('9999-12-31T23:59:59.999Z')

type AddedToken = Pick<NewToken, 'accountId' | 'kind' | 'factors'> & Partial<NewToken>

/** `event` is recorded with the token, unless it is undefined. */
interface AddOptions {
  event: EventKind | undefined
  origin: Origin
  /** Undefined for a token that another one creates. */
  verified: VerifiedAccount | undefined
  lifetimeMilliseconds?: number
}

interface AddedSession { secretHash: string, lifetimeMilliseconds: number, client: SessionClient }

interface NewPersonalToken { name: string, scopes: readonly Scope[], expiresAt: number | null }

/** The program that a session is for; null if it is unknown. */
export type SessionClient = Pick<NewToken, 'browser' | 'system'>

/** A new access token, and its lifetime in seconds. */
export interface IssuedToken { token: string, duration: number }

export type Tokens = ReturnType<typeof createTokens>

/** The access tokens, personal tokens and sessions of accounts. */
export function createTokens (
  { accessTokens, config, metadata, signIn }:
  Pick<AppServices, 'config' | 'metadata' | 'signIn'> & { accessTokens: AccessTokens }
) {
  /** @throws token_malformed, token_expired, token_revoked. */
  async function get (text: string): Promise<TokenAndAccount> {
    const { tokens } = metadata
    if (text.startsWith('mst_')) {
      if (!isPersonalToken(text)) throw new Problem('token_malformed')
      return await tokens.findBySecret(hashPersonalToken(text)) ?? refuseRevoked()
    }
    const { tokenId, accountId, expiresAt } = await accessTokens.verify(text)
    const found = await tokens.find(tokenId)
    // The row is deleted soon after the token expires. Then this clock decides only which reason is given.
    if ((found?.now ?? Date.now()) >= expiresAt) throw new Problem('token_expired')
    return found?.account.id === accountId && found.token.kind === 'access' ? found : refuseRevoked()
  }

  /**
   * Whether the provider has not signed in an account without a password for so long that its tokens do not work. They
   * do again after the next time.
   */
  function isResting ({ account: { passwordHash, providerSignInAt }, now }: TokenAndAccount): boolean {
    const isBound = passwordHash === NO_PASSWORD
    return isBound && (providerSignInAt === null || now - providerSignInAt >= config.oidcTokenMilliseconds)
  }

  function touch ({ id, lastUsedAt }: TokenRecord, now: number): void {
    if (lastUsedAt !== null && Math.abs(now - lastUsedAt) < TOUCH_MILLISECONDS) return
    // Not awaited, and errors are ignored: downloads must work on a full disk.
    metadata.tokens.recordUse(id, now).catch(() => {})
  }

  /** Adds a token, by default with all scopes, and its event, unless the account or the parent token has changed. */
  function add (token: AddedToken, { event: kind, origin, verified, ...lifetime }: AddOptions): Promise<TokenRecord> {
    const { accountId } = token
    const unset = { parentId: null, name: null, secretHash: null, browser: null, system: null, expiresAt: null }
    return metadata.tokens.add({ ...unset, scopes: joinScopes(scopes), ...token }, {
      maxTokens: MAX_TOKENS,
      ...lifetime,
      ...(kind !== undefined && { withEvent: { event: { accountId, kind, ...origin }, keep: KEPT_EVENTS } }),
      ...(verified !== undefined && { verified })
    })
  }

  return {
    /**
     * Creates an access token. With a `parent`, it has the parent's scopes, expires no later and is revoked with it.
     * This is recorded as an event, unless the parent is a session: a page in use renews its token every few minutes.
     * @throws too_many_tokens, and if the password or a factor has changed or the parent was revoked since the request
     * was authenticated: credentials_wrong, token_revoked.
     */
    async issue (signedIn: SignedIn, origin: Origin, parent?: TokenRecord): Promise<IssuedToken> {
      const inherited = parent && { parentId: parent.id, scopes: parent.scopes, expiresAt: parent.expiresAt }
      const added = await add({ ...madeWith(signedIn), kind: 'access', ...inherited }, {
        event: parent?.kind === 'session' ? undefined : 'token_issued',
        origin,
        verified: parent === undefined ? signedIn.account : undefined,
        lifetimeMilliseconds: config.tokenSeconds * 1000
      })
      const { createdAt: issuedAt } = added
      if (parent?.kind === 'session') touch(parent, issuedAt)
      const claims = { tokenId: added.id, accountId: added.accountId, issuedAt, expiresAt: Number(added.expiresAt) }
      return { token: await accessTokens.sign(claims), duration: Math.ceil((claims.expiresAt - issuedAt) / 1000) }
    },

    /**
     * Creates a personal token. Its text is returned only here.
     * @throws validation_failed if `expiresAt` is not in the future or the name is not well-formed, too_many_tokens,
     * credentials_wrong.
     */
    async issuePersonal (
      signedIn: SignedIn, origin: Origin, wanted: NewPersonalToken
    ): Promise<{ token: string, record: TokenRecord }> {
      const { name, scopes, expiresAt } = wanted
      // The driver would replace ill-formed characters.
      if (!name.isWellFormed()) throw invalidField('name', 'is not well-formed Unicode')
      const now = await metadata.now()
      // Also refuses NaN: Date.parse does not accept everything in RFC 3339, such as leap seconds.
      if (expiresAt !== null && !(expiresAt > now && expiresAt <= MAX_TIME)) {
        throw invalidField('expiresAt', 'must be a time in the future, before the year 10000')
      }
      const token = createPersonalToken()
      const secretHash = hashPersonalToken(token)
      const record = await add(
        { ...madeWith(signedIn), kind: 'personal', name, scopes: joinScopes(scopes), secretHash, expiresAt },
        { event: 'personal_token_created', origin, verified: signedIn.account }
      )
      return { token, record }
    },

    /** Creates a session. @throws too_many_tokens, credentials_wrong. */
    addSession (signedIn: SignedIn, origin: Origin, session: AddedSession): Promise<TokenRecord> {
      const { secretHash, lifetimeMilliseconds, client } = session
      const options = { event: 'session_created', origin, verified: signedIn.account, lifetimeMilliseconds } as const
      return add({ ...madeWith(signedIn), kind: 'session', secretHash, ...client }, options)
    },

    /**
     * Returns a token and its account.
     * @throws token_malformed, token_expired, token_revoked, sign_in_required.
     */
    async verify (text: string): Promise<TokenAndAccount> {
      const found = await get(text)
      if (found.token.expiresAt !== null && found.now >= found.token.expiresAt) throw new Problem('token_expired')
      if (found.account.disabledAt !== null) refuseRevoked()
      if (isResting(found)) throw new Problem('sign_in_required')
      touch(found.token, found.now)
      return found
    },

    /**
     * Refuses a request that has waited if its credentials were revoked meanwhile.
     * @throws credentials_wrong, token_revoked.
     */
    async requireCurrent (
      { account, token }: { account: AccountRecord, token: TokenRecord | undefined }
    ): Promise<void> {
      if (token === undefined) {
        if (await signIn.isCurrent(account)) return
        throw new Problem('credentials_wrong')
      }
      const found = await metadata.tokens.find(token.id)
      if (found === undefined || found.account.disabledAt !== null) refuseRevoked()
    },

    /** A session and its account, which may be disabled; undefined if no session has this secret or it has ended. */
    async findSession (secretHash: string): Promise<TokenAndAccount | undefined> {
      const found = await metadata.tokens.findBySecret(secretHash)
      // A personal token is found by its hash as well.
      return found?.token.kind === 'session' && found.now < Number(found.token.expiresAt) ? found : undefined
    },

    /** Revokes the token of the request, and its child tokens. @throws token_revoked if that has happened already. */
    async revokeCurrent ({ accountId, id }: TokenRecord): Promise<void> {
      await metadata.tokens.remove(accountId, id).catch((error: unknown) => {
        if (error instanceof Problem && error.code === 'not_found') refuseRevoked()
        throw error
      })
    }
  }
}

/** What the owner of the account had shown when a token was made. */
export function factorsOf ({ factors }: Pick<TokenRecord, 'factors'>): Factor[] {
  return factors.split(' ') as Factor[]
}

function madeWith ({ account, factors }: SignedIn): Pick<NewToken, 'accountId' | 'factors'> {
  return { accountId: account.id, factors: factors.join(' ') }
}

function refuseRevoked (): never {
  throw new Problem('token_revoked')
}

const PREFIX = 'mst_'
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Random characters: 178 bits. */
const SECRET_LENGTH = 30

/** Base62 digits of a 32-bit checksum. */
const CHECKSUM_LENGTH = 6

/** A new personal access token: a prefix for secret scanners, the secret, and a checksum that detects typing errors. */
export function createPersonalToken (): string {
  const secret = Array.from({ length: SECRET_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  return PREFIX + secret + checksum(secret)
}

/** Whether text has the format of a personal token, including the checksum; if not, no database lookup is needed. */
function isPersonalToken (text: string): boolean {
  const secret = text.slice(PREFIX.length, PREFIX.length + SECRET_LENGTH)
  return /^mst_[0-9A-Za-z]{36}$/.test(text) && text.endsWith(checksum(secret))
}

/** The stored hash of a personal token, in hex. An unsalted hash is enough, because the secret has 178 random bits. */
export function hashPersonalToken (token: string): string {
  return hash('sha256', token)
}

function checksum (secret: string): string {
  let rest = crc32(secret)
  let digits = ''
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits
    rest = Math.floor(rest / ALPHABET.length)
  }
  return digits
}
