import type { Password } from 'magicstore'
import { checkClaim, claim, useClaim, wordsOf, type Claim } from './claim.ts'
import { folder } from './folder.ts'
import { Logo } from './icon.tsx'
import { PageError } from './page-error.ts'
import { ProblemText, Retry } from './problem.tsx'
import { leave, signIn } from './session.ts'
import { CredentialForm } from './sign-in.tsx'
import { texts } from './texts.ts'
import { useLoaded } from './use-loaded.ts'

/** The form of an invitation or of the reset of a password. */
export function ClaimView ({ claim: { secret, username } }: { claim: Claim }) {
  const words = wordsOf({ secret, username })
  const { value: isUsable, error, reload } = useLoaded(() => checkClaim(secret))
  async function send (account: Password): Promise<void> {
    const user = await useClaim(secret, account)
    if (user === undefined) return leave(texts.claim.resetDone, true)
    history.replaceState(null, '', folder)
    claim.value = undefined
    // If this fails, the page offers to sign in.
    await signIn(account).catch(() => {})
  }
  return (
    <main class='sign-in'>
      <h1 class='brand'><Logo />{texts.title}</h1>
      <div class='card'>
        <h2>{words.title}</h2>
        {isUsable === undefined && error === undefined && <p class='muted' role='status'>{texts.loading}</p>}
        {error instanceof PageError && <ProblemText error={error} />}
        {error !== undefined && !(error instanceof PageError) && (
          <Retry error={error} action={() => { void reload() }} />
        )}
        {isUsable && (
          <>
            <p class='hint'>{words.hint}</p>
            <CredentialForm label={words.submit} isNew username={username} action={send} />
          </>
        )}
        <a href={folder.href}>{texts.claim.toSignIn}</a>
      </div>
    </main>
  )
}
