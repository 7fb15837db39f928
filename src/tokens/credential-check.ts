import type { SignIn } from '../accounts/sign-in.ts'
import type { AccountRecord, TokenRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { Tokens } from './tokens.ts'

interface Authenticated { readonly account: AccountRecord, readonly token: TokenRecord | undefined }

/** A check for requests that have waited since they were authenticated. It @throws credentials_wrong, token_revoked. */
export function createCredentialCheck (
  { signIn, tokens }: { signIn: SignIn, tokens: Tokens }
): (caller: Authenticated) => Promise<void> {
  return async ({ account, token }) => {
    if (token !== undefined) await tokens.requireActive(token)
    else if (!await signIn.isCurrent(account)) throw new Problem('credentials_wrong')
  }
}
