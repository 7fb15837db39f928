import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { Question } from '../question.tsx'
import { texts } from '../later-texts.ts'

export interface Unsaved {
  /** Closes the dialog; asks first if its form has changes. */
  readonly close: () => void
  /** Does something that drops the changes; asks first if there are any. */
  readonly leave: (action: () => void) => void
  /** Whether the form has changes. The form sets it. */
  readonly hasChanges: { current: () => boolean }
  /** The question, while it is asked. */
  readonly question: ComponentChildren
}

/** For a dialog with a form: what was typed is not lost silently. */
export function useUnsaved (onClose: () => void): Unsaved {
  const [asked, setAsked] = useState<{ readonly action: () => void }>()
  const hasChanges = useRef(() => false)
  const leave = (action: () => void) => hasChanges.current() ? setAsked({ action }) : action()
  const question = asked !== undefined && (
    <Question
      title={texts.unsaved.title} label={texts.unsaved.discard}
      action={async () => asked.action()} onClose={() => setAsked(undefined)}
    >
      <p>{texts.unsaved.hint}</p>
    </Question>
  )
  return { close: () => leave(onClose), leave, hasChanges, question }
}
