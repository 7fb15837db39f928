import { useId, useLayoutEffect, useRef } from 'preact/hooks'
import { Icon } from '../icon.tsx'
import { IconButton } from '../icon-button.tsx'
import { ProblemText } from '../problem.tsx'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { withoutInvisible } from '../visible-name.ts'

interface RenameFormProps {
  name: string
  isFolder?: boolean
  /** An error that it throws is shown below the input. */
  action: (newName: string) => Promise<void>
  onCancel: () => void
}

/** An input for a new name, in place of the name. Enter saves, Escape cancels. */
export function RenameForm ({ name, isFolder = false, action, onCancel }: RenameFormProps) {
  const offered = withoutInvisible(name)
  const input = useRef<HTMLInputElement>(null)
  const problemId = useId()
  const { run, isRunning, error } = useAction(action)
  // A layout effect, so that the focus has moved before the next key is pressed.
  useLayoutEffect(() => {
    input.current?.focus()
    input.current?.setSelectionRange(0, isFolder ? offered.length : stemLength(offered))
  }, [])
  function submit (event: SubmitEvent): void {
    event.preventDefault()
    const newName = input.current?.value ?? name
    if (newName === name) onCancel()
    else void run(newName)
  }
  function leave (event: KeyboardEvent): void {
    if (event.key !== 'Escape') return
    // The dialog around it must not close.
    event.preventDefault()
    event.stopPropagation()
    onCancel()
  }
  return (
    <form class='rename' onSubmit={submit} onKeyDown={leave}>
      <input
        ref={input} defaultValue={offered} required dir='auto' autocomplete='off' spellcheck={false}
        aria-label={texts.files.newName(name)} aria-describedby={problemId}
      />
      <button class='quiet' aria-disabled={isRunning} aria-label={texts.files.save}><Icon name='check' /></button>
      <IconButton icon='close' label={texts.cancel} onClick={onCancel} />
      <ProblemText id={problemId} error={error} />
    </form>
  )
}

/** The length without the ending, which usually stays. A leading dot begins no ending. */
function stemLength (name: string): number {
  const dot = name.lastIndexOf('.')
  return dot <= 0 ? name.length : dot
}
