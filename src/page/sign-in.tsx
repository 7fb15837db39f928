import { MagicStoreError, type Password } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { ActionButton } from './action-button.tsx'
import { passkeySupport } from './factors/passkey-support.ts'
import { fieldsOf, PasswordField } from './fields.tsx'
import { goToProvider } from './identities/flows.ts'
import { Logo } from './icon.tsx'
import { notifyOfLinks } from './links/notify-of-links.ts'
import { ProblemText } from './problem.tsx'
import { register, signIn, signInWithPasskey } from './session.ts'
import {
  isProviderHere, isRegistrationByProvider, isRegistrationOpen, providerName, providerUrl
} from './settings.ts'
import { texts } from './texts.ts'
import { useAction } from './use-action.ts'

/** Signs in, or creates an account if registration is open. */
export function SignIn () {
  const [isNew, setNew] = useState(false)
  const [{ farewell, isReset }] = useState(takeFarewell)
  const { welcome, upHint, toSignIn, toSignUp, closed, upWith } = texts.sign
  const title = isNew ? texts.sign.up : texts.sign.in
  // Links that somebody else made in the account survive a reset of its password.
  const offer = async () => { if (isReset) await notifyOfLinks(texts.account.passwordChanged) }
  const enter = async (account: Password) => (isNew ? register : signIn)(account).then(offer)
  return (
    <SignInPage welcome={farewell === undefined ? <p class='muted'>{welcome}</p> : <p role='status'>{farewell}</p>}>
      <h2>{title}</h2>
      {isNew && <p class='hint'>{upHint}</p>}
      {providerName !== '' && <ProviderWay />}
      <CredentialForm label={title} isNew={isNew} action={enter} />
      {!isNew && <PasskeySignIn onEntered={offer} />}
      {isRegistrationOpen
        ? <button type='button' class='link' onClick={() => setNew(!isNew)}>{isNew ? toSignIn : toSignUp}</button>
        : <p class='hint'>{isRegistrationByProvider ? upWith(providerName) : closed}</p>}
    </SignInPage>
  )
}

/** What the page shows in place of its views while no user is signed in. */
export function SignInPage ({ welcome, children }: { welcome?: ComponentChildren, children: ComponentChildren }) {
  return (
    <main class='sign-in'>
      <h1 class='brand'><Logo />{texts.title}</h1>
      {welcome}
      <div class='card'>{children}</div>
    </main>
  )
}

/** Goes to the identity provider. It sends the browser back to one address only: elsewhere this is a link there. */
function ProviderWay () {
  const leaving = useAction(goToProvider)
  const label = texts.sign.inWith(providerName)
  return (
    <>
      {isProviderHere
        ? <ActionButton action={leaving}>{label}</ActionButton>
        : <a class='button' href={providerUrl}>{label}</a>}
      <ProblemText error={leaving.error} />
      <p class='hint'>{texts.sign.or}</p>
    </>
  )
}

/** A button that signs in without a password, where passkeys can be used. */
export function PasskeySignIn ({ onEntered }: { onEntered?: () => Promise<void> }) {
  const entering = useAction(async () => signInWithPasskey().then(onEntered))
  if (!passkeySupport().isUsable) return null
  return (
    <>
      <ActionButton action={entering}>{texts.sign.inWithPasskey}</ActionButton>
      <ProblemText error={entering.error} />
    </>
  )
}

/** The message from before the reload, which is shown once, and whether the password was reset there. */
function takeFarewell (): { farewell?: string, isReset?: boolean } {
  const left = (history.state ?? {}) as ReturnType<typeof takeFarewell>
  history.replaceState(null, '')
  return left
}

interface CredentialFormProps {
  label: string
  isNew: boolean
  /** Set if only this user may sign in. */
  username?: string | undefined
  action: (credentials: { username: string, password: string }) => Promise<void>
}

/** Username and password. Typed text stays when the form changes from sign-in to registration, an error does not. */
export function CredentialForm ({ label, isNew, username, action }: CredentialFormProps) {
  const form = useRef<HTMLFormElement>(null)
  const { run, isRunning, error: failure } = useAction(action)
  const [sentAsNew, setSentAsNew] = useState(isNew)
  const error = sentAsNew === isNew ? failure : undefined
  const field = refusedField(error)
  const errorAt = (place: typeof field) => place === field ? error : undefined
  useEffect(() => focusField(form.current, username === undefined ? 'username' : 'password'), [isNew])
  useEffect(() => { if (error !== undefined) focusField(form.current, field ?? 'password') }, [error])
  function submit (event: SubmitEvent): void {
    const fields = fieldsOf(event)
    setSentAsNew(isNew)
    void run({ username: username ?? String(fields.get('username')), password: String(fields.get('password')) })
  }
  return (
    <form ref={form} onSubmit={submit}>
      <UsernameField value={username} isFixed={username !== undefined} error={errorAt('username')} />
      <PasswordField
        name='password' label={texts.sign.password} autocomplete={isNew ? 'new-password' : 'current-password'}
        error={errorAt('password')} autofocus={username !== undefined}
      />
      <ProblemText error={errorAt(undefined)} />
      <button class='primary' aria-disabled={isRunning}>{label}</button>
    </form>
  )
}

interface UsernameFieldProps { value: string | undefined, isFixed?: boolean, error: unknown }

export function UsernameField ({ value, isFixed, error }: UsernameFieldProps) {
  const id = useId()
  return (
    <div class='field'>
      <label for={id}>{texts.sign.username}</label>
      <input
        id={id} name='username' required readOnly={isFixed} defaultValue={value} maxLength={128}
        dir='auto' autocomplete='username' autocapitalize='none' spellcheck={false}
        aria-invalid={error !== undefined} aria-describedby={`${id}-problem`}
      />
      <ProblemText id={`${id}-problem`} error={error} />
    </div>
  )
}

/** The field that the server refused. */
export function refusedField (error: unknown): 'username' | 'password' | undefined {
  if (!(error instanceof MagicStoreError)) return undefined
  const field = error.problem?.errors?.[0]?.field
  if (error.code === 'username_taken' || field === 'username') return 'username'
  return field === 'password' ? 'password' : undefined
}

function focusField (form: HTMLFormElement | null, name: string): void {
  form?.querySelector<HTMLElement>(`[name=${name}]`)?.focus()
}
