import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { Dialog } from '../dialog.tsx'
import { fieldsOf } from '../fields.tsx'
import { ProblemText } from '../problem.tsx'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { confirmWithPasskey, type Proof } from './passkeys.ts'
import type { Demand } from './proof.ts'
import { usePasskeys } from './use-passkeys.ts'

const words = texts.factors

/** Asks for a code of the second factor: from an app, a recovery code, or by a passkey. */
export function CodeDialog ({ demand: { proof, note, error, isAnswered, answer, cancel } }: { demand: Demand }) {
  const [kind, setKind] = useState<'totp' | 'recovery'>('totp')
  const [sentKind, setSentKind] = useState(kind)
  const form = useRef<HTMLFormElement>(null)
  const other = kind === 'totp' ? 'recovery' : 'totp'
  // A layout effect, so that it resets nothing that the user types next.
  useLayoutEffect(() => {
    form.current?.reset()
    form.current?.querySelector('input')?.focus()
  }, [error, kind])
  const submit = (event: SubmitEvent) => {
    const code = String(fieldsOf(event).get('code')).replace(/\s/g, '')
    setSentKind(kind)
    if (!isAnswered) answer(code)
  }
  return (
    <Dialog title={words.title} onClose={cancel}>
      {note !== undefined && <p>{note}</p>}
      <form ref={form} onSubmit={submit}>
        <CodeField key={kind} kind={kind} error={kind === sentKind ? error : undefined} />
        <button class='primary' aria-disabled={isAnswered}>{words.continue}</button>
      </form>
      <div class='ways'>
        <PasskeyButton proof={proof} answer={answer} />
        <button type='button' class='link' onClick={() => setKind(other)}>{words.toKind[other]}</button>
      </div>
    </Dialog>
  )
}

export function CodeField ({ kind, error }: { kind: 'totp' | 'recovery', error: unknown }) {
  const id = useId()
  const isTotp = kind === 'totp'
  return (
    <div class='field'>
      <label for={id}>{words.label[kind]}</label>
      <input
        id={id} name='code' class='code' required data-autofocus dir='ltr' autocapitalize='none' spellcheck={false}
        inputMode={isTotp ? 'numeric' : 'text'} autocomplete={isTotp ? 'one-time-code' : 'off'}
        aria-invalid={error !== undefined} aria-describedby={`${id}-hint ${id}-problem`}
      />
      <ProblemText id={`${id}-problem`} error={error} />
      <p class='hint' id={`${id}-hint`}>{words.hint[kind]}</p>
    </div>
  )
}

/** The button that uses a passkey instead of a code, or why there is none. */
function PasskeyButton ({ proof, answer }: { proof: Proof, answer: (code: string) => void }) {
  const { isUsable, reason } = usePasskeys()
  const confirming = useAction(async () => answer(await confirmWithPasskey(proof)))
  if (!isUsable) return reason === undefined ? null : <p class='hint'>{reason}</p>
  return (
    <>
      <ActionButton action={confirming}>{words.usePasskey}</ActionButton>
      <ProblemText error={confirming.error} />
    </>
  )
}
