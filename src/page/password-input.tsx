import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { frameTexts } from './frame-texts.ts'
import { Icon } from './icon.tsx'

/** An input for a password, with a button that shows it. */
export function PasswordInput (attributes: JSX.InputHTMLAttributes<HTMLInputElement>) {
  const [isShown, setShown] = useState(false)
  const { showPassword } = frameTexts
  return (
    <div class='password'>
      <input {...attributes} type={isShown ? 'text' : 'password'} required autocapitalize='none' spellcheck={false} />
      <button
        type='button' class='quiet' aria-pressed={isShown} aria-label={showPassword} title={showPassword}
        onClick={() => setShown(!isShown)}
      >
        <Icon name={isShown ? 'eyeOff' : 'eye'} />
      </button>
    </div>
  )
}
