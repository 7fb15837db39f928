import { bodyOf, type Password } from 'magicstore'
import { useId, useState } from 'preact/hooks'
import { withProof } from '../factors/proof.ts'
import { leave } from '../session.ts'
import { session, usernameOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { PasswordDialog } from './password-dialog.tsx'
import { Section } from './section.tsx'

/** Deletes the account with all that it has. */
export function DeleteSection () {
  const [isAsking, setAsking] = useState(false)
  const words = texts.account
  return (
    <Section title={words.remove} hint={words.removeHint}>
      <div class='actions'>
        <button type='button' class='danger' onClick={() => setAsking(true)}>{words.removeButton}</button>
      </div>
      {isAsking && (
        <PasswordDialog
          title={words.removeTitle}
          label={words.removeButton}
          isDangerous
          action={deleteAccount}
          onClose={() => setAsking(false)}
        >
          <p class='warning'>{words.removeWarning}</p>
          <UsernameField />
        </PasswordDialog>
      )}
    </Section>
  )
}

async function deleteAccount (account: Password): Promise<void> {
  await withProof(account, async store => bodyOf(await store.api.DELETE('/api/account')))
  await leave(texts.account.removed)
}

/** The browser submits the form only if it contains the username. */
function UsernameField () {
  const id = useId()
  const username = usernameOf(session.value)
  return (
    <div class='field'>
      <label for={id}>{texts.account.typeUsername}</label>
      <p class='name' dir='auto' id={`${id}-username`}>{username}</p>
      <input
        id={id} required data-autofocus autocomplete='off' autocapitalize='none' spellcheck={false} dir='auto'
        aria-describedby={`${id}-username`} onInput={event => requireText(event.currentTarget, username)}
      />
    </div>
  )
}

function requireText (field: HTMLInputElement, text: string): void {
  field.setCustomValidity(field.value === text ? '' : texts.account.notUsername)
}
