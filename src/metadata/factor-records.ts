import type { VerifiedAccount } from './records.ts'

/** Whether an account has the password and the factors that it was verified with. */
export function isUnchanged (
  account: Omit<VerifiedAccount, 'id'> | undefined, { passwordHash, factorVersion }: Omit<VerifiedAccount, 'id'>
): boolean {
  return account?.passwordHash === passwordHash && account.factorVersion === factorVersion
}

/** Passkeys of one account at most. */
export const MAX_PASSKEYS = 20

/** A discoverable credential (WebAuthn level 3 section 4). */
export interface NewPasskey {
  /** Given by the owner. */
  readonly name: string
  /** Base64url. Unique in the whole store. */
  readonly credentialId: string
  /** The public key as COSE_Key (RFC 9052 section 7), in base64url. */
  readonly publicKey: string
  /** The random id of the account that the authenticator returns with an assertion, in base64url. */
  readonly userHandle: string
  /** How often the authenticator has signed; 0 if it does not count. */
  readonly counter: number
}

export interface PasskeyRecord extends NewPasskey {
  readonly id: number
  readonly accountId: number
  readonly createdAt: number
  readonly lastUsedAt: number | null
}

/** The one-time codes (RFC 6238) of an account: `secret` is sealed. */
export interface TotpRecord {
  readonly secret: string
  readonly createdAt: number
  /** The latest time step of which a code was used. */
  readonly lastStep: number
}

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
