import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { frameTexts } from './frame-texts.ts'
import { IconButton } from './icon-button.tsx'

/** An input for a password, with a button that shows it. */
export function PasswordInput (attributes: JSX.InputHTMLAttributes<HTMLInputElement>) {
  const [isShown, setShown] = useState(false)
  const { showPassword } = frameTexts
  return (
    <div class='password'>
      <input {...attributes} type={isShown ? 'text' : 'password'} required autocapitalize='none' spellcheck={false} />
      <IconButton
        icon={isShown ? 'eyeOff' : 'eye'} label={showPassword} title={showPassword} aria-pressed={isShown}
        onClick={() => setShown(!isShown)}
      />
    </div>
  )
}
