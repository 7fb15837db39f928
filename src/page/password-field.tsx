import { useId, useState } from 'preact/hooks'
import { Icon } from './icon.tsx'
import { ProblemText } from './problem.tsx'
import { session } from './session.ts'
import { texts } from './texts.ts'

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
          id={id} name={name} type={isShown ? 'text' : 'password'} required autocomplete={autocomplete} data-autofocus={autofocus || undefined}
          autocapitalize='none' spellcheck={false} aria-invalid={error !== undefined} aria-describedby={`${id}-problem`}
        />
        <button
          type='button' class='quiet' aria-pressed={isShown} aria-label={texts.sign.showPassword} title={texts.sign.showPassword}
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
}

/** The current password of the user. The hidden username tells password managers which account it belongs to. */
export function AccountPassword (field: AccountPasswordProps) {
  const username = 'username' in session.value ? session.value.username : ''
  return (
    <>
      <input class='hidden' name='username' value={username} autocomplete='username' readOnly tabIndex={-1} aria-hidden='true' />
      <PasswordField {...field} autocomplete='current-password' />
    </>
  )
}
