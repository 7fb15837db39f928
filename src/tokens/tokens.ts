import { Problem } from '../errors.ts'
import type { AccountRecord, Metadata, TokenRecord } from '../metadata/metadata.ts'
import type { AccessTokenCodec } from './jwt.ts'

interface TokensOptions {
  metadata: Metadata
  codec: AccessTokenCodec
  tokenSeconds: number
}

export interface Tokens {
  /** A new access token for a person, and its life in seconds. */
  issue (account: AccountRecord): Promise<{ token: string, duration: number }>
  /** Whom a token speaks for. @throws token_malformed, token_expired, token_revoked. */
  verify (token: string): Promise<{ account: AccountRecord, token: TokenRecord }>
}

export function createTokens ({ metadata, codec, tokenSeconds }: TokensOptions): Tokens {
  return {
    async issue (account) {
      const issuedAt = Date.now()
      const expiresAt = issuedAt + tokenSeconds * 1000
      const { id } = await metadata.addToken({ accountId: account.id, createdAt: issuedAt, expiresAt })
      return { token: codec.sign({ tokenId: id, accountId: account.id, issuedAt, expiresAt }), duration: tokenSeconds }
    },

    async verify (text) {
      const { tokenId, accountId } = codec.verify(text)
      const found = await metadata.findToken(tokenId)
      if (found === undefined || found.account.id !== accountId) throw new Problem('token_revoked')
      if (Date.now() >= found.token.expiresAt) throw new Problem('token_expired')
      return found
    }
  }
}
