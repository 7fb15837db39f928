import type { AccountRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { createRecoveryCodes, prepareFirstFactor, type Staying } from './codes.ts'
import { createTotpSecret, findStep } from './totp.ts'

/** How long a new secret waits for the first code of it. */
const PENDING_MILLISECONDS = 10 * 60 * 1000

export type Factors = ReturnType<typeof createFactors>

/** The one-time codes and recovery codes of accounts. Passkeys are in `passkeys.ts`. */
export function createFactors ({ metadata, sealer }: Pick<AppServices, 'metadata' | 'sealer'>) {
  return {
    /** Makes a secret, which waits for `confirmTotp`. It is returned only here. @throws credentials_wrong. */
    async beginTotp (account: AccountRecord): Promise<{ secret: string, uri: string }> {
      const created = await createTotpSecret(account.username)
      const sealed = await sealer.seal(account.id, created.secret)
      await metadata.factors.setPendingTotp(account, sealed, PENDING_MILLISECONDS)
      return created
    },

    /**
     * Turns on the secret, in place of an earlier one, after a code of it. If it is the first factor of the account,
     * returns its recovery codes, and ends sessions and access tokens but those of the session that stays; else null.
     * @throws factor_not_pending, second_factor_wrong, credentials_wrong.
     */
    async confirmTotp (account: AccountRecord, code: string, staying: Staying): Promise<string[] | null> {
      const { factors } = metadata
      const { pending, now } = await factors.findTotp(account.id)
      if (pending === undefined) throw new Problem('factor_not_pending')
      const { secret } = pending
      const step = await findStep(await sealer.open(account.id, secret), code, now)
      // The field tells this code from the one in the header.
      if (step === undefined) {
        throw new Problem('second_factor_wrong', { errors: [{ field: 'code', message: 'is not of the new secret' }] })
      }
      const { codes, first } = prepareFirstFactor(staying)
      return await factors.confirmTotp(account, { secret, step }, first) ? codes : null
    },

    /** Makes recovery codes in place of the earlier ones. @throws second_factor_missing, credentials_wrong. */
    async replaceRecoveryCodes (account: AccountRecord): Promise<string[]> {
      if (account.factorCount === 0) throw new Problem('second_factor_missing')
      const created = createRecoveryCodes()
      await metadata.factors.setRecoveryCodes(account, created.map(({ hash }) => hash))
      return created.map(({ code }) => code)
    }
  }
}
