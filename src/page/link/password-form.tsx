import { useEffect, useId, useRef } from 'preact/hooks'
import { PasswordInput } from '../password-input.tsx'
import { useAction } from '../use-action.ts'
import { Refusal } from './refusal.tsx'
import { texts } from './texts.ts'
import { unlock } from './visit.ts'

/** Asks for the password of the link. */
export function PasswordForm () {
  const id = useId()
  const form = useRef<HTMLFormElement>(null)
  const { run, isRunning, error } = useAction(unlock)
  const input = () => form.current?.querySelector('input')
  useEffect(() => input()?.focus(), [error])
  function submit (event: SubmitEvent): void {
    event.preventDefault()
    void run(input()?.value ?? '')
  }
  return (
    <form ref={form} class='card' onSubmit={submit}>
      <h1>{texts.password.title}</h1>
      <p class='muted'>{texts.password.hint}</p>
      <div class='field'>
        <label for={id}>{texts.password.label}</label>
        <PasswordInput
          id={id} autocomplete='off' aria-invalid={error !== undefined}
          aria-describedby={`${id}-problem`}
        />
        <Refusal id={`${id}-problem`} error={error} />
      </div>
      <button class='primary' aria-disabled={isRunning}>{texts.password.submit}</button>
    </form>
  )
}
