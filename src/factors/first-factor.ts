import type { FirstFactor } from '../metadata/factor-records.ts'
import { createRecoveryCodes } from './codes.ts'

/** The session that stays with the first factor, and the network that stays known. */
export interface Staying { readonly sessionId: number | undefined, readonly network: string }

/**
 * What happens if a factor is the first one of its account, and the recovery codes that its owner gets then.
 */
export function prepareFirstFactor (staying: Staying): { codes: string[], first: FirstFactor } {
  const created = createRecoveryCodes()
  return {
    codes: created.map(({ code }) => code),
    first: { recoveryCodes: created.map(({ hash }) => hash), ...staying }
  }
}
