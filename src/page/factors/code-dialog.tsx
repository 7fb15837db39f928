import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { Dialog } from '../dialog.tsx'
import { fieldsOf } from '../fields.tsx'
import { ProblemText } from '../problem.tsx'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { confirmWithPasskey, type Proof } from './passkeys.ts'
import type { Demand } from './proof.ts'
import { passkeySupport } from './passkey-support.ts'

const words = texts.factors

type Kind = 'totp' | 'recovery'

/**
 * Asks for the second factor: a code from an app or a passkey, whichever the account has, or a recovery code instead.
 */
export function CodeDialog ({ demand }: { demand: Demand }) {
  const { proof, factors, note, error, isAnswered, answer, cancel } = demand
  const { isUsable, reason } = passkeySupport()
  const hasTotp = factors.includes('totp')
  const [chosen, setKind] = useState<Kind>()
  const hasPasskey = factors.includes('passkey')
  const kind = chosen ?? (hasTotp ? 'totp' : hasPasskey && isUsable ? undefined : 'recovery')
  const [sentKind, setSentKind] = useState<Kind>()
  const form = useRef<HTMLFormElement>(null)
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
  const others = [...hasTotp ? ['totp' as const] : [], 'recovery' as const].filter(other => other !== kind)
  return (
    <Dialog title={words.title} onClose={cancel}>
      {note !== undefined && <p>{note}</p>}
      {kind !== undefined && (
        <form ref={form} onSubmit={submit}>
          <CodeField key={kind} kind={kind} error={kind === sentKind ? error : undefined} />
          <button class='primary' aria-disabled={isAnswered}>{words.continue}</button>
        </form>
      )}
      <div class='ways'>
        {hasPasskey && isUsable &&
          <PasskeyButton proof={proof} answer={answer} isFirst={kind === undefined} />}
        {hasPasskey && reason !== undefined && <p class='hint'>{reason}</p>}
        {others.map(other => (
          <button key={other} type='button' class='link' onClick={() => setKind(other)}>{words.toKind[other]}</button>
        ))}
      </div>
    </Dialog>
  )
}

export function CodeField ({ kind, error }: { kind: Kind, error: unknown }) {
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

interface PasskeyButtonProps { proof: Proof, answer: (code: string) => void, isFirst: boolean }

/** The button that uses a passkey; `isFirst`: no code is asked for. */
function PasskeyButton ({ proof, answer, isFirst }: PasskeyButtonProps) {
  const confirming = useAction(async () => answer(await confirmWithPasskey(proof)))
  return (
    <div class='ways'>
      <ActionButton action={confirming} class={isFirst ? 'primary' : ''} data-autofocus={isFirst || undefined}>
        {words.usePasskey}
      </ActionButton>
      <ProblemText error={confirming.error} />
    </div>
  )
}
