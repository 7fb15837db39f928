import { PageError } from '../errors.ts'
import { texts } from '../later-texts.ts'
import { ProblemText } from '../problem.tsx'
import { providerName } from '../settings.ts'
import { beginSignIn } from './flows.ts'
import { signInWithIdentity } from './identities.ts'
import { useProvider } from './use-provider.ts'
import { Waiting } from './waiting.tsx'

/**
 * A button that signs in at the provider in another window, so that nothing on this page is lost. `isOnly`: there is no
 * password beside it.
 */
export function ProviderSignIn ({ isOnly }: { isOnly: boolean }) {
  const { run, isWaiting, error } = useProvider(beginSignIn, async answer => {
    const unknown = await signInWithIdentity(answer)
    if (unknown !== undefined) throw new PageError(texts.identities.refusals.identity_unknown)
  })
  return (
    <>
      <button
        type='button' class={isOnly ? 'primary' : ''} data-autofocus={isOnly || undefined} onClick={() => run()}
      >
        {texts.sign.inWith(providerName)}
      </button>
      <Waiting isWaiting={isWaiting} />
      <ProblemText error={error} />
      {!isOnly && <p class='hint'>{texts.sign.or}</p>}
    </>
  )
}
