import type { Password, TotpSecret } from 'magicstore'
import { useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { Dialog } from '../dialog.tsx'
import { fieldsOf } from '../fields.tsx'
import { ProblemText } from '../problem.tsx'
import { texts } from '../later-texts.ts'
import { providerName } from '../settings.ts'
import { useAction } from '../use-action.ts'
import { addPasskey, PasskeyNameField } from './passkey-form.tsx'
import type { Demand } from './proof.ts'
import { RecoveryCodes } from './recovery-codes.tsx'
import { startTotp, TotpStep } from './totp-step.tsx'
import { passkeySupport } from './passkey-support.ts'

const words = texts.factors

type Step =
  | { readonly kind: 'choice' | 'passkey' }
  | { readonly kind: 'totp', readonly totp: TotpSecret }
  | { readonly kind: 'codes', readonly codes: readonly string[] }

/** Sets up a second factor, because the server demands one. The user has given the password already. */
export function SetUpDialog ({ demand: { proof: account, answer, cancel } }: { demand: Demand }) {
  const [step, setStep] = useState<Step>({ kind: 'choice' })
  if ('secret' in account) return null
  const finish = (codes: string[] | null) => codes === null ? answer() : setStep({ kind: 'codes', codes })
  if (step.kind === 'codes') {
    return (
      <Dialog key='codes' title={words.recoveryCodes}>
        <RecoveryCodes codes={step.codes} username={account.username} onDone={() => answer()} />
      </Dialog>
    )
  }
  return (
    <Dialog key={step.kind} title={words.setUpTitle} onClose={cancel}>
      {step.kind === 'choice' && <Choice account={account} onStep={setStep} />}
      {step.kind === 'totp' && <TotpStep account={account} totp={step.totp} onDone={finish} />}
      {step.kind === 'passkey' && <PasskeyForm account={account} onDone={finish} />}
    </Dialog>
  )
}

function Choice ({ account, onStep }: { account: Password, onStep: (step: Step) => void }) {
  const { isUsable, reason } = passkeySupport()
  const starting = useAction(async () => onStep({ kind: 'totp', totp: await startTotp(account) }))
  return (
    <>
      <p>{words.setUpHint}</p>
      {providerName !== '' && <p>{texts.identities.endWithFactor}</p>}
      <div class='ways'>
        <ActionButton action={starting} class='primary' data-autofocus>{words.setUpTotp}</ActionButton>
        <ProblemText error={starting.error} />
        {isUsable && <button type='button' onClick={() => onStep({ kind: 'passkey' })}>{words.addPasskey}</button>}
        {reason !== undefined && <p class='hint'>{reason}</p>}
      </div>
    </>
  )
}

function PasskeyForm ({ account, onDone }: { account: Password, onDone: (codes: string[] | null) => void }) {
  const { run, isRunning, error } = useAction(async (name: string) => onDone(await addPasskey(account, name)))
  return (
    <form onSubmit={event => { void run(String(fieldsOf(event).get('name'))) }}>
      <PasskeyNameField />
      <ProblemText error={error} />
      <button class='primary' aria-disabled={isRunning}>{words.addPasskey}</button>
    </form>
  )
}
