import { signal } from '@preact/signals'
import { bodyOf, createMagicStore, MagicStoreError, type Password, type User } from 'magicstore'
import { withCode } from './factors/proof.ts'
import { baseUrl } from './folder.ts'
import { PageError } from './page-error.ts'
import { texts } from './texts.ts'

/** An invitation or the reset of a password, from a link of the operator. */
export interface Claim {
  readonly secret: string
  /** Unset if the user chooses one. */
  readonly username: string | undefined
}

/**
 * The claim in the address of the page. It stays there until it is used, so that a window that is loaded again still
 * has it.
 */
export const claim = signal(claimOf(location.hash))

/** Reads `#claim=SECRET&username=NAME`. */
export function claimOf (hash: string): Claim | undefined {
  const fields = new URLSearchParams(hash.slice(1))
  const secret = fields.get('claim')
  return secret === null ? undefined : { secret, username: fields.get('username') ?? undefined }
}

/** What the page says about it. */
export function wordsOf ({ secret }: Claim) {
  return secret.startsWith('rst_') ? texts.claim.reset : texts.claim.invitation
}

/** Whether it can still be used. @throws PageError, MagicStoreError. */
export async function checkClaim (secret: string): Promise<true> {
  const store = createMagicStore({ baseUrl })
  await refusing(async () => bodyOf(await store.api.POST('/api/account/claim/check', { body: { secret } })))
  return true
}

/** Uses a claim. Returns the new user of an invitation. @throws PageError, and what `withCode` throws. */
export function useClaim (secret: string, account: Password): Promise<User | undefined> {
  const store = createMagicStore({ baseUrl })
  return refusing(() => withCode({ secret }, code => store.claim({ secret, ...account }, { code })))
}

/** @throws PageError if the claim was used or has expired. */
async function refusing<Result> (request: () => Promise<Result>): Promise<Result> {
  try {
    return await request()
  } catch (error) {
    if (!(error instanceof MagicStoreError) || error.code !== 'not_found') throw error
    throw new PageError(texts.claim.over, { cause: error })
  }
}
