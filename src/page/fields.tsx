import { MagicStoreError } from 'magicstore'
import { useId, useState } from 'preact/hooks'
import { Icon } from './icon.tsx'
import { ProblemText } from './problem.tsx'
import { session, usernameOf } from './session-state.ts'
import { texts } from './texts.ts'
import { withoutInvisible } from './visible-name.ts'

/** Returns the fields of a form that is submitted. The browser does not leave the page. */
export function fieldsOf (event: SubmitEvent): FormData {
  event.preventDefault()
  return new FormData(event.currentTarget as HTMLFormElement)
}

/** A field for the name of a file or folder, called `name` in its form. In a dialog, the focus starts there. */
export function NameField ({ label, name }: { label: string, name: string }) {
  return (
    <label>{label}
      <input
        name='name' defaultValue={withoutInvisible(name)} required dir='auto' autocomplete='off' spellcheck={false} data-autofocus
      />
    </label>
  )
}

interface PasswordFieldProps {
  name: string
  label: string
  /** With `new-password`, password managers offer a generated one. */
  autocomplete: 'current-password' | 'new-password'
  /** Why the server refused this password. */
  error?: unknown
  autofocus?: boolean
}

/** A password field with a button that shows the password. */
export function PasswordField ({ name, label, autocomplete, error, autofocus = false }: PasswordFieldProps) {
  const id = useId()
  const [isShown, setShown] = useState(false)
  return (
    <div class='field'>
      <label for={id}>{label}</label>
      <div class='password'>
        <input
          id={id} name={name} type={isShown ? 'text' : 'password'} required autocomplete={autocomplete} autocapitalize='none'
          spellcheck={false} aria-invalid={error !== undefined} aria-describedby={`${id}-problem`} data-autofocus={autofocus || undefined}
        />
        <button
          type='button' class='quiet' aria-pressed={isShown} aria-label={texts.showPassword} title={texts.showPassword}
          onClick={() => setShown(!isShown)}
        >
          <Icon name={isShown ? 'eyeOff' : 'eye'} />
        </button>
      </div>
      <ProblemText id={`${id}-problem`} error={error} />
    </div>
  )
}

interface AccountPasswordProps {
  name: string
  label: string
  error?: unknown
  autofocus?: boolean
}

/** The current password of the user. The hidden username tells password managers which account it belongs to. */
export function AccountPassword (field: AccountPasswordProps) {
  return (
    <>
      <input
        class='hidden' name='username' value={usernameOf(session.value)} autocomplete='username' readOnly tabIndex={-1} aria-hidden='true'
      />
      <PasswordField {...field} autocomplete='current-password' />
    </>
  )
}

/** Whether the server refused the current password. */
export function isPasswordWrong (error: unknown): boolean {
  return error instanceof MagicStoreError && error.code === 'credentials_wrong'
}
