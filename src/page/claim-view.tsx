import type { Password } from 'magicstore'
import { claim, useClaim, wordsOf, type Claim } from './claim.ts'
import { folder } from './folder.ts'
import { leave, signIn } from './session.ts'
import { CredentialForm, SignInPage } from './sign-in.tsx'
import { texts } from './texts.ts'

/** The form of an invitation or of the reset of a password. */
export function ClaimView ({ claim: { secret, username } }: { claim: Claim }) {
  const words = wordsOf({ secret, username })
  async function send (account: Password): Promise<void> {
    const user = await useClaim(secret, account)
    if (user === undefined) return leave(texts.claim.resetDone, true)
    history.replaceState(null, '', folder)
    claim.value = undefined
    // If this fails, the page offers to sign in.
    await signIn(account).catch(() => {})
  }
  return (
    <SignInPage>
      <h2>{words.title}</h2>
      <p class='hint'>{words.hint}</p>
      <CredentialForm label={words.submit} isNew username={username} action={send} />
      <a href={folder.href}>{texts.claim.toSignIn}</a>
    </SignInPage>
  )
}
