import { bodyOf, MagicStoreError, type MagicStore } from 'magicstore'
import { useRef } from 'preact/hooks'
import { AccountPassword, fieldsOf, isPasswordWrong, PasswordField } from '../fields.tsx'
import { withProof } from '../factors/proof.ts'
import { notifyOfLinks } from '../links/notify-of-links.ts'
import { ProblemText } from '../problem.tsx'
import { replaceSession, signIn } from '../session.ts'
import { session, usernameOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { Section } from './section.tsx'

interface Change { readonly current: string, readonly next: string }

/** Changes the password, which revokes all sessions and tokens, and signs in with the new one. */
async function changePassword ({ current, next }: Change): Promise<void> {
  const username = usernameOf(session.value)
  const body = { password: next }
  const change = async ({ api }: MagicStore) => bodyOf(await api.PUT('/api/account/password', { body }))
  await withProof({ username, password: current }, change)
  // If this fails, the next request asks for the password.
  await signIn({ username, password: next }, texts.factors.confirmSession).catch(() => {})
}

/** The form that changes the password. */
export function PasswordSection ({ reload }: { reload: () => Promise<void> }) {
  const form = useRef<HTMLFormElement>(null)
  const { run, isRunning, error } = useAction(async (change: Change) => {
    await replaceSession(() => changePassword(change))
    form.current?.reset()
    await notifyOfLinks(texts.account.passwordChanged)
    void reload()
  })
  const field = refusedField(error)
  const errorAt = (place: typeof field) => place === field ? error : undefined
  const submit = (event: SubmitEvent) => {
    const fields = fieldsOf(event)
    void run({ current: String(fields.get('current')), next: String(fields.get('next')) })
  }
  return (
    <Section title={texts.account.password} hint={texts.account.passwordHint}>
      <form ref={form} class='narrow' onSubmit={submit}>
        <AccountPassword name='current' label={texts.account.currentPassword} error={errorAt('current')} />
        <PasswordField
          name='next' label={texts.account.newPassword} autocomplete='new-password' error={errorAt('next')}
        />
        <ProblemText error={errorAt(undefined)} />
        <div class='actions'>
          <button class='primary' aria-disabled={isRunning}>{texts.account.changePassword}</button>
        </div>
      </form>
    </Section>
  )
}

/** The field that the server refused. */
function refusedField (error: unknown): 'current' | 'next' | undefined {
  if (isPasswordWrong(error)) return 'current'
  if (!(error instanceof MagicStoreError)) return undefined
  return error.problem?.errors?.some(({ field }) => field === 'password') === true ? 'next' : undefined
}
