import type { JSX } from 'preact'
import type { Action } from './use-action.ts'

interface ActionButtonProps extends JSX.HTMLAttributes<HTMLButtonElement> { action: Action<[]> }

/** A button that runs an action. While it runs, the button does nothing, but keeps the focus. */
export function ActionButton ({ action: { run, isRunning }, ...attributes }: ActionButtonProps) {
  return <button type='button' aria-disabled={isRunning} onClick={() => { void run() }} {...attributes} />
}
