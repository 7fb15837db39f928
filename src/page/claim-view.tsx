import { bodyOf, createMagicStore, type Password, type User } from 'magicstore'
import { claim, kindOf, type Claim } from './claim.ts'
import { codeOf, PageError } from './errors.ts'
import { withCode } from './factors/proof.ts'
import { baseUrl, folder } from './folder.ts'
import { texts } from './later-texts.ts'
import { ProblemText, Retry } from './problem.tsx'
import { leave, signIn } from './session.ts'
import { CredentialForm, SignInPage } from './sign-in.tsx'
import { useLoaded } from './use-loaded.ts'

/** The form of an invitation or of the reset of a password. */
export function ClaimView ({ claim: { secret, username } }: { claim: Claim }) {
  const kind = kindOf({ secret, username })
  const words = texts.claim[kind]
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
    <SignInPage>
      <h2>{texts.claimTitles[kind]}</h2>
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
    </SignInPage>
  )
}

/** Whether it can still be used. @throws PageError, MagicStoreError. */
async function checkClaim (secret: string): Promise<true> {
  const store = createMagicStore({ baseUrl })
  await refusing(async () => bodyOf(await store.api.POST('/api/account/claim/check', { body: { secret } })))
  return true
}

/** Uses a claim. Returns the new user of an invitation. @throws PageError, and what `withCode` throws. */
function useClaim (secret: string, account: Password): Promise<User | undefined> {
  const store = createMagicStore({ baseUrl })
  return refusing(() => withCode({ secret }, code => store.claim({ secret, ...account }, { code })))
}

/** @throws PageError if the claim was used or has expired. */
async function refusing<Result> (request: () => Promise<Result>): Promise<Result> {
  try {
    return await request()
  } catch (error) {
    if (codeOf(error) !== 'not_found') throw error
    throw new PageError(texts.claim.over, { cause: error })
  }
}
