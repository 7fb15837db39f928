import { KEPT_EVENTS, type EventKind } from '../accounts/events.ts'
import type { Origin } from '../accounts/network.ts'
import type { Reserve } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord, NewToken, TokenAndAccount, TokenRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AccessClaims } from './jwt.ts'
import { createPersonalToken, hashPersonalToken, isPersonalToken } from './personal-token.ts'
import { joinScopes, scopes, type Scope } from './scopes.ts'

/** The time of last use is stored at most once a minute: a write on every request would cost too much. */
const TOUCH_MILLISECONDS = 60_000

/** Tokens of one account; bounds the cost of listing and revoking them. */
const MAX_TOKENS = 10_000

/** The latest time in RFC 3339, which has four-digit years; an input with a UTC offset can be later. */
const MAX_TIME = Date.parse('9999-12-31T23:59:59.999Z')

interface TokensOptions {
  metadata: Metadata
  reserve: Reserve
  tokenSeconds: number
}

/** `event` is recorded with the token, unless it is undefined. */
interface AddOptions { event: EventKind | undefined, origin: Origin, passwordHash: string | undefined, lifetimeMilliseconds?: number }

export interface NewPersonalToken { name: string, scopes: readonly Scope[], expiresAt: number | null }

/** The claims of a new access token, and its lifetime in seconds. */
export interface IssuedToken { claims: AccessClaims, duration: number }

type ReadClaims = (token: string) => Promise<Omit<AccessClaims, 'issuedAt'>>

export interface Tokens {
  /**
   * Creates an access token. With a `parent`, it has the parent's scopes, expires no later and is revoked with it. This is recorded as
   * an event, unless the parent is a session: a page in use renews its token every few minutes.
   * @throws too_many_tokens, and if the password has changed or the parent was revoked since the request was authenticated:
   * credentials_wrong, token_revoked.
   */
  issue (account: AccountRecord, origin: Origin, parent?: TokenRecord): Promise<IssuedToken>
  /**
   * Creates a personal token. Its text is returned only here.
   * @throws validation_failed if `expiresAt` is not in the future or the name is not well-formed, too_many_tokens, credentials_wrong.
   */
  issuePersonal (account: AccountRecord, origin: Origin, token: NewPersonalToken): Promise<{ token: string, record: TokenRecord }>
  /** Creates a session. @throws too_many_tokens, credentials_wrong. */
  addSession (account: AccountRecord, origin: Origin, session: { secretHash: string, lifetimeMilliseconds: number }): Promise<TokenRecord>
  /**
   * Returns a token and its account. `readClaims` verifies the text of an access token.
   * @throws token_malformed, token_expired, token_revoked.
   */
  verify (token: string, readClaims: ReadClaims): Promise<TokenAndAccount>
  /** Returns a session and its account, which may be disabled; undefined if no session has this secret or it has ended. */
  findSession (secretHash: string): Promise<TokenAndAccount | undefined>
  /** Active tokens, newest first. */
  list (accountId: number, page: { beforeId: number | undefined, limit: number }): Promise<TokenRecord[]>
  /** Revokes the token that authenticated the request, and its child tokens. @throws token_revoked if it was revoked in the meantime. */
  revokeCurrent (token: TokenRecord): Promise<void>
  /** Revokes a token and its child tokens. @throws not_found. */
  revoke (accountId: number, id: number): Promise<void>
  revokeAll (accountId: number): Promise<void>
}

export function createTokens ({ metadata, reserve, tokenSeconds }: TokensOptions): Tokens {
  function touch ({ id, lastUsedAt }: TokenRecord, now: number): void {
    if (lastUsedAt !== null && Math.abs(now - lastUsedAt) < TOUCH_MILLISECONDS) return
    // Not awaited, and errors are ignored: downloads must work on a full disk.
    metadata.tokens.recordUse(id, now).catch(() => {})
  }

  /** @throws token_malformed, token_expired, token_revoked. */
  async function get (text: string, readClaims: ReadClaims): Promise<TokenAndAccount> {
    if (text.startsWith('mst_')) {
      if (!isPersonalToken(text)) throw new Problem('token_malformed')
      return await metadata.tokens.findBySecret(hashPersonalToken(text)) ?? refuseRevoked()
    }
    const { tokenId, accountId, expiresAt } = await readClaims(text)
    const found = await metadata.tokens.find(tokenId)
    // Soon after a token expires its row is deleted: then the clock of this process decides, but only which reason is given.
    if ((found?.now ?? Date.now()) >= expiresAt) throw new Problem('token_expired')
    return found?.account.id === accountId && found.token.kind === 'access' ? found : refuseRevoked()
  }

  /** Adds a token and its event, if `passwordHash` is still the account's, or the parent token still exists. */
  function add (token: NewToken, { event: kind, origin, passwordHash, ...lifetime }: AddOptions): Promise<TokenRecord> {
    const { accountId } = token
    return reserve.withSpace(() => metadata.tokens.add(token, {
      maxTokens: MAX_TOKENS,
      ...lifetime,
      ...(kind !== undefined && { withEvent: { event: { accountId, kind, ...origin }, keep: KEPT_EVENTS } }),
      ...(passwordHash !== undefined && { passwordHash })
    }))
  }

  function revoke (accountId: number, id: number): Promise<void> {
    return reserve.withSpace(() => metadata.tokens.remove(accountId, id))
  }

  return {
    async issue (account, origin, parent) {
      const { id, createdAt: issuedAt, expiresAt } = await add({
        accountId: account.id,
        kind: 'access',
        parentId: parent?.id ?? null,
        name: null,
        scopes: parent?.scopes ?? joinScopes(scopes),
        secretHash: null,
        expiresAt: parent?.expiresAt ?? null
      }, {
        event: parent?.kind === 'session' ? undefined : 'token_issued',
        origin,
        passwordHash: parent === undefined ? account.passwordHash : undefined,
        lifetimeMilliseconds: tokenSeconds * 1000
      })
      if (parent?.kind === 'session') touch(parent, issuedAt)
      const claims = { tokenId: id, accountId: account.id, issuedAt, expiresAt: Number(expiresAt) }
      return { claims, duration: Math.ceil((claims.expiresAt - issuedAt) / 1000) }
    },

    async issuePersonal (account, origin, { name, scopes, expiresAt }) {
      // The driver would replace ill-formed characters.
      if (!name.isWellFormed()) throw new Problem('validation_failed', { errors: [{ field: 'name', message: 'is not well-formed Unicode' }] })
      const now = await metadata.now()
      // Also refuses NaN: Date.parse does not accept everything in RFC 3339, such as leap seconds.
      if (expiresAt !== null && !(expiresAt > now && expiresAt <= MAX_TIME)) {
        const message = 'must be a time in the future, before the year 10000'
        throw new Problem('validation_failed', { errors: [{ field: 'expiresAt', message }] })
      }
      const token = createPersonalToken()
      const record = await add({
        accountId: account.id,
        kind: 'personal',
        parentId: null,
        name,
        scopes: joinScopes(scopes),
        secretHash: hashPersonalToken(token),
        expiresAt
      }, { event: 'personal_token_created', origin, passwordHash: account.passwordHash })
      return { token, record }
    },

    addSession: (account, origin, { secretHash, lifetimeMilliseconds }) => add({
      accountId: account.id,
      kind: 'session',
      parentId: null,
      name: null,
      scopes: joinScopes(scopes),
      secretHash,
      expiresAt: null
    }, { event: 'session_created', origin, passwordHash: account.passwordHash, lifetimeMilliseconds }),

    async verify (text, readClaims) {
      const found = await get(text, readClaims)
      if (found.token.expiresAt !== null && found.now >= found.token.expiresAt) throw new Problem('token_expired')
      if (found.account.disabledAt !== null) refuseRevoked()
      touch(found.token, found.now)
      return found
    },

    async findSession (secretHash) {
      const found = await metadata.tokens.findBySecret(secretHash)
      // A personal token is found by its hash as well.
      return found?.token.kind === 'session' && found.now < Number(found.token.expiresAt) ? found : undefined
    },

    list: (accountId, { beforeId, limit }) => metadata.tokens.list(accountId, { beforeId, limit }),

    async revokeCurrent ({ accountId, id }) {
      await revoke(accountId, id).catch((error: unknown) => {
        if (error instanceof Problem && error.code === 'not_found') refuseRevoked()
        throw error
      })
    },

    revoke,

    revokeAll: accountId => reserve.withSpace(() => metadata.tokens.removeAll(accountId))
  }
}

function refuseRevoked (): never {
  throw new Problem('token_revoked')
}
