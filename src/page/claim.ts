import { signal } from '@preact/signals'
import { createMagicStore, type Password, type User } from 'magicstore'
import { codeOf, PageError } from './errors.ts'
import { withCode } from './factors/proof.ts'
import { baseUrl } from './folder.ts'
import { texts } from './texts.ts'

/** An invitation or the reset of a password, from a link of the operator. */
export interface Claim {
  readonly secret: string
  /** Unset if the user chooses one. */
  readonly username: string | undefined
}

/** The claim in the address of the page. It stays there until it is used, so that it survives a reload. */
export const claim = signal(claimOf(location.hash))

/** Reads `#claim=SECRET&username=NAME`. */
export function claimOf (hash: string): Claim | undefined {
  const fields = new URLSearchParams(hash.slice(1))
  const secret = fields.get('claim')
  return secret === null ? undefined : { secret, username: fields.get('username') ?? undefined }
}

export function wordsOf ({ secret }: Claim) {
  return secret.startsWith('rst_') ? texts.claim.reset : texts.claim.invitation
}

/** Uses a claim. Returns the new user of an invitation. @throws PageError, and what `withCode` throws. */
export async function useClaim (secret: string, account: Password): Promise<User | undefined> {
  try {
    return await withCode({ secret }, code => createMagicStore({ baseUrl }).claim({ secret, ...account }, { code }))
  } catch (error) {
    if (codeOf(error) !== 'not_found') throw error
    throw new PageError(texts.claim.over, { cause: error })
  }
}
