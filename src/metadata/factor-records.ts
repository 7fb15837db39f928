import type { VerifiedAccount } from './records.ts'
import type { RowOf } from './schema.ts'

/** Whether an account has the password and the factors that it was verified with. */
export function isUnchanged (
  account: Omit<VerifiedAccount, 'id'> | undefined, { passwordHash, factorVersion }: Omit<VerifiedAccount, 'id'>
): boolean {
  return account?.passwordHash === passwordHash && account.factorVersion === factorVersion
}

/** Passkeys of one account at most. */
export const MAX_PASSKEYS = 20

/** A discoverable credential (WebAuthn level 3 section 4). */
export type PasskeyRecord = RowOf<'passkeys'>

export type NewPasskey = Omit<PasskeyRecord, 'id' | 'accountId' | 'createdAt' | 'lastUsedAt'>

/** The one-time codes (RFC 6238) of an account. */
export type TotpRecord = RowOf<'totpSecrets'>

/** The one-time codes that are on, those that are pending now, and the time. */
export interface FoundTotp {
  readonly totp: TotpRecord | undefined
  readonly pending: TotpRecord | undefined
  readonly now: number
}

/** What an account has. */
export interface FactorList {
  readonly totp: TotpRecord | null
  /** By id. */
  readonly passkeys: readonly PasskeyRecord[]
  /** Recovery codes that are left. */
  readonly recoveryCodes: number
}

/** What happens if a factor is the first one of its account. */
export interface FirstFactor {
  /** SHA-256 of new recovery codes, in hex; they replace all others. */
  readonly recoveryCodes: readonly string[]
  /** The session that stays, with its access tokens. */
  readonly sessionId: number | undefined
  /** The network that stays known: there the factor was shown. */
  readonly network?: string
}

/** A signed challenge that is used once, before it expires. */
export interface Challenge { readonly id: string, readonly expiresAt: number }
