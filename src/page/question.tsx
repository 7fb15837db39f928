import type { ComponentChildren } from 'preact'
import { Dialog } from './dialog.tsx'
import { ProblemText } from './problem.tsx'
import { texts } from './texts.ts'
import { useAction } from './use-action.ts'

interface QuestionProps {
  title: string
  /** The label of the button that confirms. */
  label: string
  action: () => Promise<void>
  onClose: () => void
  children: ComponentChildren
}

/** A dialog before an action that needs a confirmation. The focus starts at the cancel button. */
export function Question ({ title, label, action, onClose, children }: QuestionProps) {
  const { run, isRunning, error } = useAction(async () => {
    await action()
    onClose()
  })
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <ProblemText error={error} />
      <div class='actions end'>
        <button type='button' data-autofocus onClick={onClose}>{texts.cancel}</button>
        <button type='button' class='danger' aria-disabled={isRunning} onClick={() => { void run() }}>{label}</button>
      </div>
    </Dialog>
  )
}
