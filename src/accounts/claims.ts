import type { NewClaim } from '../metadata/claims.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { invalidField, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { hashClaim, isClaimSecret } from './claim-secrets.ts'
import type { Origin } from './network.ts'
import { findUsernameKey, usernameKey } from './username.ts'

/** The request to use a link; `code` is undefined if it is missing. */
interface ClaimRequest { secret: string, username?: string, password: string, code: string | undefined }

/** The security event of a claim that was used, and its account. */
interface UsedClaim {
  readonly kind: 'invitation_used' | 'password_reset'
  readonly account: AccountRecord
  readonly hasRemovedFactors: boolean
}

export type Claims = ReturnType<typeof createClaims>

/** Uses the invitations and resets of the operator. */
export function createClaims (
  { metadata, passwords, accounts, signIn }: Pick<AppServices, 'metadata' | 'passwords' | 'accounts' | 'signIn'>
) {
  /** @throws not_found. */
  async function find (secret: string) {
    const hash = hashClaim(secret)
    const found = isClaimSecret(secret) ? await metadata.claims.find(hash) : undefined
    if (found === undefined) throw new Problem('not_found')
    return { hash, ...found }
  }

  return {
    /** @throws not_found. */
    async kindOf (secret: string) {
      return (await find(secret)).account === undefined ? 'invitation' as const : 'reset' as const
    },

    /** The account of a reset, and the purpose of challenges that its passkeys sign for it. @throws not_found. */
    async findReset (secret: string) {
      const { hash, account } = await find(secret)
      if (account === undefined) throw new Problem('not_found')
      return { account, purpose: `reset ${hash}` as const }
    },

    /**
     * Adds the account of an invitation, or resets a password. A wrong secret costs no hash; only success ends the
     * claim.
     * @throws not_found, validation_failed if the name is missing or another, username_invalid, username_taken,
     * password_invalid, overloaded; for an account with a second factor as `signIn.useCode`.
     */
    async use ({ secret, username, password, code }: ClaimRequest, origin: Origin): Promise<UsedClaim> {
      const { hash, claim, account } = await find(secret)
      if (account === undefined) {
        const newAccount = await accounts.prepare({ username: nameOf(claim.username, username), password })
        return {
          kind: 'invitation_used', account: await metadata.claims.invite(hash, newAccount), hasRemovedFactors: false
        }
      }
      const accepted = passwords.accept(password, nameOf(account.username, username))
      if (account.factorCount > 0 && !claim.removesFactors) await signIn.useCode(account, code, origin)
      const passwordHash = await passwords.hash(accepted)
      await metadata.claims.reset(hash, passwordHash)
      return { kind: 'password_reset', account, hasRemovedFactors: claim.removesFactors && account.factorCount > 0 }
    }
  }
}

/** The name that a claim is for, or else the one that was sent. @throws validation_failed. */
function nameOf (named: NewClaim['username'], sent: string | undefined): string {
  const name = named ?? sent
  if (name === undefined) throw invalidField('username', 'is required: the invitation is for no name')
  if (named !== null && sent !== undefined && findUsernameKey(sent) !== usernameKey(named)) {
    throw invalidField('username', 'is not the name that the link is for')
  }
  return name
}
