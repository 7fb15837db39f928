import { useId } from 'preact/hooks'
import { codeOf } from './errors.ts'
import { PasswordInput } from './password-input.tsx'
import { ProblemText } from './problem.tsx'
import { session, usernameOf } from './session-state.ts'
import { withoutInvisible } from './visible-name.ts'

/** The fields of a submitted form. Prevents the browser from leaving the page. */
export function fieldsOf (event: SubmitEvent): FormData {
  event.preventDefault()
  return new FormData(event.currentTarget as HTMLFormElement)
}

/** A field for the name of a file or folder, called `name` in its form. In a dialog, the focus starts there. */
export function NameField ({ label, name }: { label: string, name: string }) {
  return (
    <label>{label}
      <input
        name='name' defaultValue={withoutInvisible(name)} required dir='auto' autocomplete='off' spellcheck={false}
        data-autofocus
      />
    </label>
  )
}

/** A field for the name that a user gives to a token or passkey, called `name` in its form. */
export function GivenNameField ({ label, example }: { label: string, example: string }) {
  const id = useId()
  return (
    <div class='field'>
      <label for={id}>{label}</label>
      <input
        id={id} name='name' required maxLength={100} autocomplete='off' data-autofocus dir='auto' placeholder={example}
      />
    </div>
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

/** A password with its label, and why the server refused it. */
export function PasswordField ({ name, label, autocomplete, error, autofocus = false }: PasswordFieldProps) {
  const id = useId()
  return (
    <div class='field'>
      <label for={id}>{label}</label>
      <PasswordInput
        id={id} name={name} autocomplete={autocomplete} aria-invalid={error !== undefined}
        aria-describedby={`${id}-problem`} data-autofocus={autofocus || undefined}
      />
      <ProblemText id={`${id}-problem`} error={error} />
    </div>
  )
}

/** The current password of the user. The hidden username tells password managers which account it belongs to. */
export function AccountPassword (field: Omit<PasswordFieldProps, 'autocomplete'>) {
  return (
    <>
      <input
        class='hidden' name='username' value={usernameOf(session.value)} autocomplete='username' readOnly tabIndex={-1}
        aria-hidden='true'
      />
      <PasswordField {...field} autocomplete='current-password' />
    </>
  )
}

/** Whether the server refused the current password. */
export function isPasswordWrong (error: unknown): boolean {
  return codeOf(error) === 'credentials_wrong'
}
