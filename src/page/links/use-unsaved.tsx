import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { Question } from '../question.tsx'
import { texts } from '../texts.ts'

export interface Unsaved {
  /** Closes the dialog; asks first if its form has changes. */
  readonly close: () => void
  /** Whether the form has changes. The form sets it. */
  readonly hasChanges: { current: () => boolean }
  /** The question, while it is asked. */
  readonly question: ComponentChildren
}

/** For a dialog with a form: what was typed is not lost silently. */
export function useUnsaved (onClose: () => void): Unsaved {
  const [isAsking, setAsking] = useState(false)
  const hasChanges = useRef(() => false)
  const close = () => hasChanges.current() ? setAsking(true) : onClose()
  const question = isAsking && (
    <Question
      title={texts.unsaved.title} label={texts.unsaved.discard}
      action={async () => onClose()} onClose={() => setAsking(false)}
    >
      <p>{texts.unsaved.hint}</p>
    </Question>
  )
  return { close, hasChanges, question }
}
