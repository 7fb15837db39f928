import { useEffect, useId, useRef } from 'preact/hooks'
import { Icon } from './icon.tsx'
import { texts } from './later-texts.ts'
import { useCopy } from './use-copy.ts'

interface SecretFieldProps {
  label: string
  secret: string
  copiesAtOnce?: boolean
}

/**
 * A secret with a button that copies it. If the browser does not allow that, the secret is selected for the user to
 * copy.
 */
export function SecretField ({ label, secret, copiesAtOnce = false }: SecretFieldProps) {
  const id = useId()
  const field = useRef<HTMLInputElement>(null)
  const { copy, isCopied } = useCopy(secret)
  async function copyOrSelect (): Promise<void> {
    if (!await copy()) field.current?.select()
  }
  useEffect(() => {
    field.current?.select()
    if (copiesAtOnce) void copyOrSelect()
  }, [])
  return (
    <div class='field'>
      <label for={id}>{label}</label>
      <div class='secret'>
        <input
          id={id} ref={field} dir='ltr' readOnly value={secret} data-autofocus
          onFocus={event => event.currentTarget.select()}
        />
        <button type='button' onClick={() => { void copyOrSelect() }}>
          <Icon name={isCopied === true ? 'check' : 'copy'} />{texts.copy}
        </button>
      </div>
      <p class='hint' role='status'>{isCopied !== undefined && (isCopied ? texts.copied : texts.copyByHand)}</p>
    </div>
  )
}
