import type { ComponentChildren } from 'preact'
import { ActionButton } from './action-button.tsx'
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
  const confirming = useAction(async () => {
    await action()
    onClose()
  })
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <ProblemText error={confirming.error} />
      <div class='actions end'>
        <button type='button' data-autofocus onClick={onClose}>{texts.cancel}</button>
        <ActionButton action={confirming} class='danger'>{label}</ActionButton>
      </div>
    </Dialog>
  )
}
