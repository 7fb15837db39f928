import { Dialog } from '../dialog.tsx'
import { fieldsOf } from '../fields.tsx'
import { beginConfirmation, confirmWithIdentity } from '../identities/identities.ts'
import { useProvider } from '../identities/use-provider.ts'
import { Waiting } from '../identities/waiting.tsx'
import { texts } from '../later-texts.ts'
import { ProblemText } from '../problem.tsx'
import { session, usernameOf } from '../session-state.ts'
import { PasswordDialog, type PasswordDialogProps } from './password-dialog.tsx'

interface ConfirmDialogProps extends PasswordDialogProps { hasPassword: boolean }

/** A dialog for what takes the password. Without one, the account confirms with its identity at the provider. */
export function ConfirmDialog ({ hasPassword, ...props }: ConfirmDialogProps) {
  return hasPassword ? <PasswordDialog {...props} /> : <IdentityDialog {...props} />
}

function IdentityDialog ({ title, label, isDangerous = false, action, onClose, children }: PasswordDialogProps) {
  const { run, isWaiting, error } = useProvider(beginConfirmation, async (answer, fields: FormData) => {
    const code = await confirmWithIdentity(answer)
    await action({ username: usernameOf(session.value), password: '', code }, fields)
  })
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={event => run(fieldsOf(event))}>
        {children}
        <p class='hint'>{texts.identities.confirmHint}</p>
        <Waiting isWaiting={isWaiting} />
        <ProblemText error={error} />
        <div class='actions end'>
          <button type='button' onClick={onClose}>{texts.cancel}</button>
          <button class={isDangerous ? 'danger' : 'primary'}>{label}</button>
        </div>
      </form>
    </Dialog>
  )
}
