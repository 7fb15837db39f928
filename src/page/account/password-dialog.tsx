import type { Password } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { Dialog } from '../dialog.tsx'
import { AccountPassword, fieldsOf, isPasswordWrong } from '../fields.tsx'
import { ProblemText } from '../problem.tsx'
import { session, usernameOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'

interface PasswordDialogProps {
  title: string
  /** The label of the button that submits. */
  label: string
  isDangerous?: boolean
  action: (account: Password, fields: FormData) => Promise<void>
  onClose: () => void
  /** What is above the password, with its fields. */
  children?: ComponentChildren
}

/** A dialog with a form that takes the current password. */
export function PasswordDialog ({
  title, label, isDangerous = false, action, onClose, children
}: PasswordDialogProps) {
  const { run, isRunning, error } = useAction(async (fields: FormData) => {
    await action({ username: usernameOf(session.value), password: String(fields.get('current')) }, fields)
  })
  const isWrong = isPasswordWrong(error)
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={event => { void run(fieldsOf(event)) }}>
        {children}
        <AccountPassword
          name='current' label={texts.account.currentPassword} error={isWrong ? error : undefined} autofocus
        />
        <ProblemText error={isWrong ? undefined : error} />
        <div class='actions end'>
          <button type='button' onClick={onClose}>{texts.cancel}</button>
          <button class={isDangerous ? 'danger' : 'primary'} aria-disabled={isRunning}>{label}</button>
        </div>
      </form>
    </Dialog>
  )
}
