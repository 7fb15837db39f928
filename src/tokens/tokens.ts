import { KEPT_EVENTS, type EventKind } from '../accounts/events.ts'
import type { Origin } from '../accounts/network.ts'
import type { Reserve } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord, NewToken, TokenAndAccount, TokenRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AccessTokenCodec } from './jwt.ts'
import { createPersonalToken, hashPersonalToken, isPersonalToken } from './personal-token.ts'
import { joinScopes, scopes, type Scope } from './scopes.ts'

/** The time of last use is kept to the minute: a write for every request would be too much for it. */
const TOUCH_MILLISECONDS = 60_000

/** Tokens of one account at the most. They bound what listing them and ending them all costs. */
const MAX_TOKENS = 10_000

/** The last time that RFC 3339 can write, which an offset from UTC can go beyond. */
const LAST_MOMENT = Date.parse('9999-12-31T23:59:59.999Z')

interface TokensOptions {
  metadata: Metadata
  reserve: Reserve
  codec: AccessTokenCodec
  tokenSeconds: number
}

export interface NewPersonalToken { name: string, scopes: readonly Scope[], expiresAt: number | null }

export interface Tokens {
  /** A new access token for a person, and its life in seconds. One for a personal token has its scopes, ends with it and no later. @throws too_many_tokens. */
  issue (account: AccountRecord, origin: Origin, parent?: TokenRecord): Promise<{ token: string, duration: number }>
  /** A new personal token; its text is told here and never again. @throws validation_failed where it would have expired, too_many_tokens. */
  issuePersonal (account: AccountRecord, origin: Origin, token: NewPersonalToken): Promise<{ token: string, record: TokenRecord }>
  /** Whom a token speaks for. @throws token_malformed, token_expired, token_revoked. */
  verify (token: string): Promise<TokenAndAccount>
  /** The tokens that hold now, the newest first. */
  list (accountId: number, page: { beforeId: number | undefined, limit: number }): Promise<TokenRecord[]>
  /** Ends the token that a request was made with, and what was issued for it. @throws token_revoked where it has ended meanwhile. */
  end (token: TokenRecord): Promise<void>
  /** Ends one, and what was issued for it. @throws not_found. */
  revoke (accountId: number, id: number): Promise<void>
  revokeAll (accountId: number): Promise<void>
}

export function createTokens ({ metadata, reserve, codec, tokenSeconds }: TokensOptions): Tokens {
  function touch ({ id, lastUsedAt }: TokenRecord, now: number): void {
    if (lastUsedAt !== null && Math.abs(now - lastUsedAt) < TOUCH_MILLISECONDS) return
    // Not waited for, and no loss: a full disk must not keep a reader out.
    metadata.touchToken(id, now).catch(() => {})
  }

  async function find (text: string): Promise<TokenAndAccount> {
    if (text.startsWith('mst_')) {
      if (!isPersonalToken(text)) throw new Problem('token_malformed')
      return await metadata.findTokenBySecret(hashPersonalToken(text)) ?? refuseRevoked()
    }
    const { tokenId, accountId } = codec.verify(text)
    const found = await metadata.findToken(tokenId)
    return found?.account.id === accountId && found.token.kind === 'access' ? found : refuseRevoked()
  }

  /** What was proved by the password holds while the person has it; what was proved by a token, while that is there. */
  function add (token: NewToken, kind: EventKind, { origin, passwordHash }: { origin: Origin, passwordHash: string | undefined }): Promise<TokenRecord> {
    const { accountId, createdAt: at } = token
    return reserve.lend(() => metadata.addToken(token, {
      told: { event: { accountId, kind, ...origin, at }, keep: KEPT_EVENTS },
      maxTokens: MAX_TOKENS,
      ...(passwordHash !== undefined && { passwordHash })
    }))
  }

  function revoke (accountId: number, id: number): Promise<void> {
    return reserve.lend(() => metadata.removeToken(accountId, id))
  }

  return {
    async issue (account, origin, parent) {
      const issuedAt = Date.now()
      const expiresAt = Math.min(issuedAt + tokenSeconds * 1000, parent?.expiresAt ?? Infinity)
      const { id } = await add({
        accountId: account.id,
        kind: 'access',
        parentId: parent?.id ?? null,
        name: null,
        scopes: parent?.scopes ?? joinScopes(scopes),
        secretHash: null,
        createdAt: issuedAt,
        expiresAt
      }, 'token_issued', { origin, passwordHash: parent === undefined ? account.passwordHash : undefined })
      return { token: codec.sign({ tokenId: id, accountId: account.id, issuedAt, expiresAt }), duration: Math.ceil((expiresAt - issuedAt) / 1000) }
    },

    async issuePersonal (account, origin, { name, scopes, expiresAt }) {
      const now = Date.now()
      // Written so that it refuses what is no time at all: RFC 3339 has spellings, such as a leap second, that Date.parse does not know.
      if (expiresAt !== null && !(expiresAt > now && expiresAt <= LAST_MOMENT)) throw new Problem('validation_failed', { errors: [{ field: 'expiresAt', message: 'must be a time in the future, before the year 10000' }] })
      const token = createPersonalToken()
      const record = await add({
        accountId: account.id,
        kind: 'personal',
        parentId: null,
        name,
        scopes: joinScopes(scopes),
        secretHash: hashPersonalToken(token),
        createdAt: now,
        expiresAt
      }, 'personal_token_created', { origin, passwordHash: account.passwordHash })
      return { token, record }
    },

    async verify (text) {
      const found = await find(text)
      const now = Date.now()
      if (found.token.expiresAt !== null && now >= found.token.expiresAt) throw new Problem('token_expired')
      if (found.account.disabledAt !== null) refuseRevoked()
      touch(found.token, now)
      return found
    },

    list: (accountId, { beforeId, limit }) => metadata.listTokens(accountId, { now: Date.now(), beforeId, limit }),

    async end ({ accountId, id }) {
      await revoke(accountId, id).catch((error: unknown) => {
        if (error instanceof Problem && error.code === 'not_found') refuseRevoked()
        throw error
      })
    },

    revoke,

    revokeAll: accountId => reserve.lend(() => metadata.removeTokens(accountId))
  }
}

function refuseRevoked (): never {
  throw new Problem('token_revoked')
}
