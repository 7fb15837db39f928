import { hash } from 'node:crypto'
import { randomText } from '../accounts/claim-secrets.ts'
import type { FirstFactor } from '../metadata/factor-records.ts'

const RECOVERY_CODES = 10

/** 120 bits. */
const RECOVERY_LENGTH = 24

/** 140 bits. */
const CONFIRMATION_LENGTH = 28

/** A code that is shown once, and the hash that is stored of it. */
interface NewCode { readonly code: string, readonly hash: string }

/** New recovery codes. */
export function createRecoveryCodes (): NewCode[] {
  return Array.from({ length: RECOVERY_CODES }, () => createCode(RECOVERY_LENGTH))
}

/** A new confirmation code, which stands for an assertion of a passkey. */
export function createConfirmationCode (): NewCode {
  return createCode(CONFIRMATION_LENGTH)
}

/**
 * The stored hash of a recovery code or a confirmation code, in hex. Case, spaces and hyphens do not matter. An
 * unsalted hash is enough, because a code has at least 120 random bits.
 */
export function hashCode (code: string): string {
  return hash('sha256', code.toLowerCase().replace(/[ -]/g, ''))
}

/** In groups of four. */
function createCode (length: number): NewCode {
  const code = randomText(length).replace(/.{4}(?!$)/g, '$&-')
  return { code, hash: hashCode(code) }
}

/** The session and the known network that remain when the first factor of an account is added. */
export interface Staying { readonly sessionId: number | undefined, readonly network: string }

/** For a factor that may be the first one of its account: new recovery codes, and what the database stores then. */
export function prepareFirstFactor (staying: Staying): { codes: string[], first: FirstFactor } {
  const created = createRecoveryCodes()
  return {
    codes: created.map(({ code }) => code),
    first: { recoveryCodes: created.map(({ hash }) => hash), ...staying }
  }
}
