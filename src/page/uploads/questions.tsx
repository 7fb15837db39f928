import type { StoredFile } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { formatSize, formatTime } from '../format.ts'
import { texts } from '../later-texts.ts'
import { answerResume, answerTaken, type Decision } from './queue.ts'
import type { Upload } from './upload.ts'
import { counts } from './upload-list.ts'

/** Asks what to do with a file whose name is taken. */
export function ConflictQuestion ({ upload, current }: { upload: Upload, current: StoredFile }) {
  const [isForAll, setForAll] = useState(false)
  const { conflict } = texts.uploads
  const answer = (decision: Decision) => answerTaken(upload, decision, { isForAll })
  const { waiting, running, conflict: asking } = counts.value
  const explanation = conflict.existing(formatSize(current.size), formatTime(current.updatedAt))
  return (
    <RowQuestion text={conflict.question(upload.name.value)} explanation={explanation}>
      <div class='actions'>
        <button type='button' onClick={() => answer('keep')}>{conflict.keep}</button>
        <button type='button' onClick={() => answer('replace')}>{conflict.replace}</button>
        <button type='button' onClick={() => answer('skip')}>{conflict.skip}</button>
      </div>
      {(isForAll || waiting + running + asking > 1) && (
        <label class='choice'>
          <input type='checkbox' checked={isForAll} onChange={() => setForAll(!isForAll)} />{conflict.forAll}
        </label>
      )}
    </RowQuestion>
  )
}

/** Asks whether a file is the one of an unfinished upload. */
export function ResumeQuestion ({ upload }: { upload: Upload }) {
  const { resumable } = texts.uploads
  return (
    <RowQuestion text={resumable.question(upload.name.value)} explanation={resumable.explanation}>
      <div class='actions'>
        <button type='button' onClick={() => answerResume(upload, 'continue')}>{resumable.continue}</button>
        <button type='button' onClick={() => answerResume(upload, 'startAgain')}>{resumable.startAgain}</button>
      </div>
    </RowQuestion>
  )
}

/** Scrolls the list only: `scrollIntoView` would scroll the page too. */
function showInList (element: HTMLElement | null): void {
  const list = element?.closest('.uploads-body')
  if (element === null || list == null) return
  const below = element.getBoundingClientRect().bottom - list.getBoundingClientRect().bottom
  if (below > 0) list.scrollTop += below
}

interface RowQuestionProps { text: string, explanation: string, children: ComponentChildren }

/** A question in the row of an upload. Other uploads continue meanwhile. */
function RowQuestion ({ text, explanation, children }: RowQuestionProps) {
  const element = useRef<HTMLDivElement>(null)
  const textId = useId()
  useEffect(() => showInList(element.current), [])
  return (
    <div ref={element} class='question' role='group' aria-labelledby={textId}>
      <p id={textId} dir='auto'>{text}</p>
      <p class='muted'>{explanation}</p>
      {children}
    </div>
  )
}
