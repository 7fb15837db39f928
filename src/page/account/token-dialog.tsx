import { bodyOf } from 'magicstore'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { AccountPassword, fieldsOf, isPasswordWrong } from '../fields.tsx'
import { Icon } from '../icon.tsx'
import { ProblemText } from '../problem.tsx'
import { call, passwordHeaders } from '../session.ts'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { useCopy } from '../use-copy.ts'
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
  if (secret === undefined) {
    return <Dialog key='form' title={words.newToken} onClose={onClose}><TokenForm onSecret={setSecret} onCancel={onClose} /></Dialog>
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

async function createToken (token: NewToken, password: string): Promise<string> {
  const headers = passwordHeaders(password)
  return (await call(async store => bodyOf(await store.api.POST('/api/tokens', { body: token, headers })))).token
}

function TokenForm ({ onSecret, onCancel }: { onSecret: (secret: string) => void, onCancel: () => void }) {
  const id = useId()
  const { run, isRunning, error } = useAction(async (fields: FormData) => {
    onSecret(await createToken(tokenOf(fields), String(fields.get('current'))))
  })
  const words = texts.account
  return (
    <form onSubmit={event => { void run(fieldsOf(event)) }}>
      <div class='field'>
        <label for={id}>{words.tokenName}</label>
        <input
          id={id} name='name' required maxLength={100} autocomplete='off' data-autofocus dir='auto' placeholder={words.tokenNameExample}
        />
      </div>
      <ScopeFields />
      <ExpiryFields />
      <AccountPassword name='current' label={words.currentPassword} error={isPasswordWrong(error) ? error : undefined} />
      <ProblemText error={isPasswordWrong(error) ? undefined : error} />
      <div class='actions end'>
        <button type='button' onClick={onCancel}>{texts.cancel}</button>
        <button class='primary' aria-disabled={isRunning}>{words.createToken}</button>
      </div>
    </form>
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

/**
 * A secret with a button that copies it. If the browser does not allow that, the secret is selected for the user to
 * copy.
 */
function SecretField ({ label, secret }: { label: string, secret: string }) {
  const id = useId()
  const field = useRef<HTMLInputElement>(null)
  const { copy, isCopied } = useCopy(secret)
  useEffect(() => field.current?.select(), [])
  async function copyOrSelect (): Promise<void> {
    if (!await copy()) field.current?.select()
  }
  return (
    <div class='field'>
      <label for={id}>{label}</label>
      <div class='secret'>
        <input
          id={id} ref={field} readOnly value={secret} data-autofocus onFocus={event => event.currentTarget.select()}
        />
        <button type='button' onClick={() => { void copyOrSelect() }}>
          <Icon name={isCopied === true ? 'check' : 'copy'} />{texts.copy}
        </button>
      </div>
      <p class='hint' role='status'>{isCopied !== undefined && (isCopied ? texts.copied : texts.account.copyByHand)}</p>
    </div>
  )
}
