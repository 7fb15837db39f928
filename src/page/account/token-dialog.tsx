import { bodyOf, type MagicStore } from 'magicstore'
import { useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { expiryOf, ExpiryField, type Lifetime } from '../expiry.tsx'
import { GivenNameField } from '../fields.tsx'
import { type Account, withProof } from '../factors/proof.ts'
import { QrCode } from '../qr-code.tsx'
import { SecretField } from '../secret-field.tsx'
import { session, usernameOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { ConfirmDialog } from './confirm-dialog.tsx'
import { DRIVE } from './devices-section.tsx'
import { lifetimes, scopes, type NewToken, type Scope } from './tokens.ts'

interface TokenDialogProps {
  hasPassword: boolean
  onCreated: () => Promise<void>
  onClose: () => void
}

/** Creates a personal access token, then shows it. Escape does not close it, because it can't be shown again. */
export function TokenDialog ({ hasPassword, onCreated, onClose }: TokenDialogProps) {
  const [secret, setSecret] = useState<string>()
  const [isOfFiles, setOfFiles] = useState(false)
  const words = texts.account
  const create = async (account: Account, fields: FormData) => {
    const token = tokenOf(fields)
    setSecret(await createToken(account, token))
    setOfFiles(token.scopes.includes('files:read'))
  }
  if (secret === undefined) {
    return (
      <ConfirmDialog
        key='form' hasPassword={hasPassword} title={words.newToken} label={words.createToken} action={create}
        onClose={onClose}
      >
        <GivenNameField label={words.tokenName} example={words.tokenNameExample} />
        <ScopeFields />
        <ExpiryField words={words} choices={lifetimes.map(name => [name, words.lifetimes[name]])} first='90 days' />
      </ConfirmDialog>
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
      <QrCode text={secret} label={words.secretCode} />
      {isOfFiles && <p class='hint'>{words.asDrive(DRIVE, usernameOf(session.value))}</p>}
      <div class='actions end'><button type='button' class='primary' onClick={close}>{words.done}</button></div>
    </Dialog>
  )
}

async function createToken (account: Account, token: NewToken): Promise<string> {
  const create = async ({ api }: MagicStore) => bodyOf(await api.POST('/api/tokens', { body: token }))
  const { token: secret } = await withProof(account, create)
  return secret
}

function tokenOf (fields: FormData): NewToken {
  return {
    name: String(fields.get('name')),
    scopes: fields.getAll('scopes') as Scope[],
    expiresAt: expiryOf(fields.get('lifetime') as Lifetime, String(fields.get('date')), new Date())
  }
}

function ScopeFields () {
  return (
    <fieldset>
      <legend>{texts.account.scopesOfToken}</legend>
      {scopes.map(scope => (
        <label key={scope} class='choice'>
          <input type='checkbox' name='scopes' value={scope} defaultChecked={scope === 'files:read'} />
          <span>
            {texts.account.scopes[scope].name}<br /><span class='hint'>{texts.account.scopes[scope].hint}</span>
          </span>
        </label>
      ))}
    </fieldset>
  )
}
