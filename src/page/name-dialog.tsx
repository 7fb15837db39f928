import type { ComponentChildren } from 'preact'
import { Dialog } from './dialog.tsx'
import { fieldsOf, NameField } from './fields.tsx'
import { ProblemText } from './problem.tsx'
import { useAction } from './use-action.ts'

interface NameDialogProps {
  title: string
  /** The label of the field. */
  label: string
  /** The name that is offered. */
  name: string
  /** The label of the button. */
  submit: string
  action: (name: string) => Promise<void>
  onClose: () => void
  children?: ComponentChildren
}

/** Asks for the name of a file or folder. */
export function NameDialog ({ title, label, name, submit, action, onClose, children }: NameDialogProps) {
  const { run, isRunning, error } = useAction(async (name: string) => {
    await action(name)
    onClose()
  })
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <form onSubmit={event => { void run(String(fieldsOf(event).get('name'))) }}>
        <NameField label={label} name={name} />
        <ProblemText error={error} />
        <button class='primary' aria-disabled={isRunning}>{submit}</button>
      </form>
    </Dialog>
  )
}
