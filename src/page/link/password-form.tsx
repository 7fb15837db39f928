import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { frameTexts } from '../frame-texts.ts'
import { Icon } from '../icon.tsx'
import { useAction } from '../use-action.ts'
import { Refusal } from './refusal.tsx'
import { texts } from './texts.ts'
import { unlock } from './visit.ts'

/** Asks for the password of the link. */
export function PasswordForm () {
  const id = useId()
  const field = useRef<HTMLInputElement>(null)
  const [isShown, setShown] = useState(false)
  const { run, isRunning, error } = useAction(unlock)
  useEffect(() => field.current?.focus(), [error])
  function submit (event: SubmitEvent): void {
    event.preventDefault()
    void run(field.current?.value ?? '')
  }
  return (
    <form class='card' onSubmit={submit}>
      <h1>{texts.password.title}</h1>
      <p class='muted'>{texts.password.hint}</p>
      <div class='field'>
        <label for={id}>{texts.password.label}</label>
        <div class='password'>
          <input
            id={id} ref={field} type={isShown ? 'text' : 'password'} required autocomplete='off' autocapitalize='none'
            spellcheck={false} aria-invalid={error !== undefined} aria-describedby={`${id}-problem`}
          />
          <button
            type='button' class='quiet' aria-pressed={isShown} aria-label={frameTexts.showPassword} title={frameTexts.showPassword}
            onClick={() => setShown(!isShown)}
          >
            <Icon name={isShown ? 'eyeOff' : 'eye'} />
          </button>
        </div>
        <Refusal id={`${id}-problem`} error={error} />
      </div>
      <button class='primary' aria-disabled={isRunning}>{texts.password.submit}</button>
    </form>
  )
}
