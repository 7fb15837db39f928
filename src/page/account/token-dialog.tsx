import { bodyOf, type Password } from 'magicstore'
import { useId, useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { withProof } from '../factors/proof.ts'
import { SecretField } from '../secret-field.tsx'
import { texts } from '../texts.ts'
import { PasswordDialog } from './password-dialog.tsx'
import { expiryOf, lifetimes, scopes, type Lifetime, type NewToken, type Scope } from './tokens.ts'

interface TokenDialogProps {
  onCreated: () => Promise<void>
  onClose: () => void
}

/**
 * Creates a personal access token, then shows its secret. Escape does not close the secret, which can't be shown again.
 */
export function TokenDialog ({ onCreated, onClose }: TokenDialogProps) {
  const [secret, setSecret] = useState<string>()
  const words = texts.account
  const create = async (account: Password, fields: FormData) => setSecret(await createToken(account, tokenOf(fields)))
  if (secret === undefined) {
    return (
      <PasswordDialog key='form' title={words.newToken} label={words.createToken} action={create} onClose={onClose}>
        <NameField />
        <ScopeFields />
        <ExpiryFields />
      </PasswordDialog>
    )
  }
  const close = () => {
    onClose()
    void onCreated()
  }
  return (
    <Dialog key='secret' title={words.tokenCreated}>
      <p class='warning'>{words.shownOnce}</p>
      <SecretField label={words.secret} secret={secret} />
      <div class='actions end'><button type='button' class='primary' onClick={close}>{words.done}</button></div>
    </Dialog>
  )
}

async function createToken (account: Password, token: NewToken): Promise<string> {
  const { token: secret } = await withProof(account, async store => bodyOf(await store.api.POST('/api/tokens', { body: token })))
  return secret
}

function NameField () {
  const id = useId()
  return (
    <div class='field'>
      <label for={id}>{texts.account.tokenName}</label>
      <input
        id={id} name='name' required maxLength={100} autocomplete='off' data-autofocus dir='auto' placeholder={texts.account.tokenNameExample}
      />
    </div>
  )
}

function tokenOf (fields: FormData): NewToken {
  return {
    name: String(fields.get('name')),
    scopes: fields.getAll('scopes') as Scope[],
    expiresAt: expiryOf(fields.get('lifetime') as Lifetime, String(fields.get('date')))
  }
}

function ScopeFields () {
  return (
    <fieldset>
      <legend>{texts.account.scopesOfToken}</legend>
      {scopes.map(scope => (
        <label key={scope} class='choice'>
          <input type='checkbox' name='scopes' value={scope} defaultChecked={scope === 'files:read'} />
          <span>{texts.account.scopes[scope].name}<br /><span class='hint'>{texts.account.scopes[scope].hint}</span></span>
        </label>
      ))}
    </fieldset>
  )
}

function ExpiryFields () {
  const id = useId()
  const [lifetime, setLifetime] = useState<Lifetime>('90 days')
  return (
    <div class='field'>
      <label for={id}>{texts.account.expiry}</label>
      <select id={id} name='lifetime' value={lifetime} onChange={event => setLifetime(event.currentTarget.value as Lifetime)}>
        {lifetimes.map(name => <option key={name} value={name}>{texts.account.lifetimes[name]}</option>)}
      </select>
      {lifetime === 'date' && <input type='date' name='date' required aria-label={texts.account.lastDay} />}
      {lifetime === 'never' && <p class='hint'>{texts.account.neverHint}</p>}
    </div>
  )
}
