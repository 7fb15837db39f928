import { bodyOf, MagicStoreError } from 'magicstore'
import { useRef } from 'preact/hooks'
import { notify } from '../notices.tsx'
import { AccountPassword, PasswordField } from '../password-field.tsx'
import { ProblemText } from '../problem.tsx'
import { call, passwordHeaders, session, signIn } from '../session.ts'
import { texts } from '../texts.ts'
import { useAct } from '../use-act.ts'
import { Section } from './section.tsx'

interface Change { readonly username: string, readonly current: string, readonly next: string }

/** Changes the password. Every session and token ends by it; the page signs in again, so that the user stays where they are. */
async function changePassword ({ username, current, next }: Change): Promise<void> {
  const headers = passwordHeaders(current)
  await call(async store => bodyOf(await store.api.PUT('/api/account/password', { body: { password: next }, headers })))
  // The password has changed, whatever happens now. If this fails, the next request asks for it.
  await signIn({ username, password: next }).catch(() => {})
}

/** Changes the password. */
export function PasswordSection ({ reload }: { reload: () => Promise<void> }) {
  const form = useRef<HTMLFormElement>(null)
  const username = 'username' in session.value ? session.value.username : ''
  const { run, isRunning, error } = useAct(async (change: Change) => {
    await changePassword(change)
    form.current?.reset()
    notify({ text: texts.account.passwordChanged })
    void reload()
  })
  const field = fieldOf(error)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    void run({ username, current: String(fields.get('current')), next: String(fields.get('next')) })
  }
  return (
    <Section title={texts.account.password} hint={texts.account.passwordHint}>
      <form ref={form} class='narrow' onSubmit={submit}>
        <AccountPassword name='current' label={texts.account.currentPassword} error={field === 'current' ? error : undefined} />
        <PasswordField name='next' label={texts.account.newPassword} autocomplete='new-password' error={field === 'next' ? error : undefined} />
        <ProblemText error={field === undefined ? error : undefined} />
        <div class='actions'><button class='primary' aria-disabled={isRunning}>{texts.account.changePassword}</button></div>
      </form>
    </Section>
  )
}

function fieldOf (error: unknown): 'current' | 'next' | undefined {
  if (!(error instanceof MagicStoreError)) return undefined
  if (error.code === 'credentials_wrong') return 'current'
  return error.problem?.errors?.some(({ field }) => field === 'password') === true ? 'next' : undefined
}
