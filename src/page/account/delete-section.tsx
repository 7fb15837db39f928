import { bodyOf } from 'magicstore'
import { useId, useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { AccountPassword, fieldsOf, isPasswordWrong } from '../fields.tsx'
import { ProblemText } from '../problem.tsx'
import { call, leave, passwordHeaders, session, usernameOf } from '../session.ts'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { Section } from './section.tsx'

/** Deletes the account with all that it has. */
export function DeleteSection () {
  const [isAsking, setAsking] = useState(false)
  return (
    <Section title={texts.account.remove} hint={texts.account.removeHint}>
      <div class='actions'><button type='button' class='danger' onClick={() => setAsking(true)}>{texts.account.removeButton}</button></div>
      {isAsking && (
        <Dialog title={texts.account.removeTitle} onClose={() => setAsking(false)}>
          <p class='warning'>{texts.account.removeWarning}</p>
          <DeleteForm onCancel={() => setAsking(false)} />
        </Dialog>
      )}
    </Section>
  )
}

async function deleteAccount (password: string): Promise<void> {
  const headers = passwordHeaders(password)
  await call(async store => bodyOf(await store.api.DELETE('/api/account', { headers })))
  await leave(texts.account.removed)
}

function DeleteForm ({ onCancel }: { onCancel: () => void }) {
  const id = useId()
  const username = usernameOf(session.value)
  const { run, isRunning, error } = useAction(deleteAccount)
  const submit = (event: SubmitEvent) => { void run(String(fieldsOf(event).get('current'))) }
  return (
    <form onSubmit={submit}>
      <div class='field'>
        <label for={id}>{texts.account.typeUsername}</label>
        <p class='name' dir='auto' id={`${id}-username`}>{username}</p>
        <input
          id={id} required data-autofocus autocomplete='off' autocapitalize='none' spellcheck={false} dir='auto'
          aria-describedby={`${id}-username`} onInput={event => requireText(event.currentTarget, username)}
        />
      </div>
      <AccountPassword name='current' label={texts.account.currentPassword} error={isPasswordWrong(error) ? error : undefined} />
      <ProblemText error={isPasswordWrong(error) ? undefined : error} />
      <div class='actions end'>
        <button type='button' onClick={onCancel}>{texts.cancel}</button>
        <button class='danger' aria-disabled={isRunning}>{texts.account.removeButton}</button>
      </div>
    </form>
  )
}

/** The browser submits the form only if the field contains this text. */
function requireText (field: HTMLInputElement, text: string): void {
  field.setCustomValidity(field.value === text ? '' : texts.account.notUsername)
}
