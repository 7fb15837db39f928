import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { Icon } from '../icon.tsx'
import { texts } from '../texts.ts'

/** A secret with a button that copies it. Where the browser does not let the page copy (without TLS), it is selected for the user to copy. */
export function SecretField ({ label, secret }: { label: string, secret: string }) {
  const id = useId()
  const field = useRef<HTMLInputElement>(null)
  const [said, setSaid] = useState('')
  useEffect(() => field.current?.select(), [])
  async function copy (): Promise<void> {
    try {
      await navigator.clipboard.writeText(secret)
      setSaid(texts.account.copied)
    } catch {
      field.current?.select()
      setSaid(texts.account.copyByHand)
    }
  }
  return (
    <div class='field'>
      <label for={id}>{label}</label>
      <div class='secret'>
        <input id={id} ref={field} readOnly value={secret} data-autofocus onFocus={event => event.currentTarget.select()} />
        <button type='button' onClick={() => { void copy() }}>
          <Icon name={said === texts.account.copied ? 'check' : 'copy'} />{texts.account.copy}
        </button>
      </div>
      <p class='hint' role='status'>{said}</p>
    </div>
  )
}
