import type { Passkey, Password, TotpSecret } from 'magicstore'
import { Dialog } from '../dialog.tsx'
import { addPasskey, PasskeyNameField } from '../factors/passkey-form.tsx'
import { withProof } from '../factors/proof.ts'
import { RecoveryCodes } from '../factors/recovery-codes.tsx'
import { startTotp, TotpStep } from '../factors/totp-step.tsx'
import { notify } from '../notices.tsx'
import { session, usernameOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { PasswordDialog } from './password-dialog.tsx'

const words = texts.factors

/** What the user is about to do. */
export type FactorStep =
  | { readonly kind: 'start totp', readonly isReplacing: boolean }
  | { readonly kind: 'confirm totp', readonly account: Password, readonly totp: TotpSecret }
  | { readonly kind: 'remove passkey', readonly passkey: Passkey }
  | { readonly kind: 'show codes', readonly codes: readonly string[], readonly notice: string | undefined }
  | { readonly kind: 'remove totp' | 'add passkey' | 'new codes' }

interface FactorDialogProps {
  step: FactorStep
  /** Whether a new factor is the first one, and ends identities. */
  endsIdentities: boolean
  onStep: (step: FactorStep | undefined) => void
  onChanged: () => void
}

/** The dialog of a step. */
export function FactorDialog ({ step, endsIdentities, onStep, onChanged }: FactorDialogProps) {
  const close = () => onStep(undefined)
  /** Recovery codes are shown before anything else. */
  const finish = (notice: string | undefined, codes: readonly string[] | null = null) => {
    onChanged()
    if (codes !== null) return onStep({ kind: 'show codes', codes, notice })
    close()
    if (notice !== undefined) notify({ text: notice })
  }
  switch (step.kind) {
    case 'start totp': {
      const title = step.isReplacing ? words.replaceTotp : words.setUpTotp
      const start = async (account: Password) => {
        onStep({ kind: 'confirm totp', account, totp: await startTotp(account) })
      }
      return (
        <PasswordDialog key='start' title={title} label={words.continue} action={start} onClose={close}>
          {endsIdentities && <p>{texts.identities.endWithFactor}</p>}
        </PasswordDialog>
      )
    }
    case 'confirm totp':
      return (
        <Dialog key='confirm totp' title={words.setUpTotp} onClose={close}>
          <TotpStep account={step.account} totp={step.totp} onDone={codes => finish(words.totpOn, codes)} />
        </Dialog>
      )
    case 'show codes': {
      const done = () => finish(step.notice)
      return (
        <Dialog key='show codes' title={words.recoveryCodes}>
          <RecoveryCodes codes={step.codes} username={usernameOf(session.value)} onDone={done} />
        </Dialog>
      )
    }
    default:
      return (
        <ChangeDialog
          key={step.kind} step={step} endsIdentities={endsIdentities} onClose={close} onFinish={finish}
        />
      )
  }
}

interface ChangeDialogProps {
  step: Extract<FactorStep, { kind: 'remove totp' | 'remove passkey' | 'add passkey' | 'new codes' }>
  endsIdentities: boolean
  onClose: () => void
  onFinish: (notice: string | undefined, codes?: readonly string[] | null) => void
}

/** A change that takes the password, and nothing more. */
function ChangeDialog ({ step, endsIdentities, onClose, onFinish }: ChangeDialogProps) {
  if (step.kind === 'add passkey') {
    const add = async (account: Password, fields: FormData) => {
      const name = String(fields.get('name'))
      onFinish(words.passkeyAdded(name), await addPasskey(account, name))
    }
    return (
      <PasswordDialog title={words.addPasskey} label={words.addPasskey} action={add} onClose={onClose}>
        {endsIdentities && <p>{texts.identities.endWithFactor}</p>}
        <PasskeyNameField />
      </PasswordDialog>
    )
  }
  if (step.kind === 'new codes') {
    const create = async (account: Password) => {
      onFinish(undefined, await withProof(account, store => store.createRecoveryCodes()))
    }
    return (
      <PasswordDialog title={words.newCodesTitle} label={words.newCodes} action={create} onClose={onClose}>
        <p>{words.newCodesHint}</p>
      </PasswordDialog>
    )
  }
  const { passkey } = 'passkey' in step ? step : {}
  const remove = async (account: Password) => {
    await withProof(account, store => passkey === undefined ? store.removeTotp() : store.removePasskey(passkey.id))
    onFinish(passkey === undefined ? words.totpOff : words.passkeyRemoved(passkey.name))
  }
  return (
    <PasswordDialog
      title={passkey === undefined ? words.removeTotpTitle : words.removePasskeyTitle}
      label={passkey === undefined ? words.removeTotp : words.removePasskey}
      isDangerous
      action={remove}
      onClose={onClose}
    >
      {passkey !== undefined && <p><bdi class='name'>{passkey.name}</bdi></p>}
      <p>{words.removeHint}</p>
    </PasswordDialog>
  )
}
