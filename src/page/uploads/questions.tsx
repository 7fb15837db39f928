import type { StoredFile } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { formatSize, formatTime } from '../format.ts'
import { texts } from '../texts.ts'
import { answerAlike, answerTaken, type Decision } from './queue.ts'
import type { Upload } from './upload.ts'
import { counts } from './upload-list.ts'

/** Asks what to do with a file whose name is taken. */
export function TakenQuestion ({ upload, current }: { upload: Upload, current: StoredFile }) {
  const [isForAll, setForAll] = useState(false)
  const { taken } = texts.uploads
  const answer = (decision: Decision) => answerTaken(upload, decision, { isForAll })
  const { waiting, running, taken: asking } = counts.value
  const explanation = taken.existing(formatSize(current.size), formatTime(current.updatedAt))
  return (
    <RowQuestion text={taken.question(upload.name.value)} explanation={explanation}>
      <div class='actions'>
        <button type='button' onClick={() => answer('keep')}>{taken.keep}</button>
        <button type='button' onClick={() => answer('replace')}>{taken.replace}</button>
        <button type='button' onClick={() => answer('skip')}>{taken.skip}</button>
      </div>
      {(isForAll || waiting + running + asking > 1) && (
        <label class='choice'>
          <input type='checkbox' checked={isForAll} onChange={() => setForAll(!isForAll)} />{taken.forAll}
        </label>
      )}
    </RowQuestion>
  )
}

/** Asks whether a file is the one of an unfinished upload. */
export function AlikeQuestion ({ upload }: { upload: Upload }) {
  const { alike } = texts.uploads
  return (
    <RowQuestion text={alike.question(upload.name.value)} explanation={alike.explanation}>
      <div class='actions'>
        <button type='button' onClick={() => answerAlike(upload, 'continue')}>{alike.continue}</button>
        <button type='button' onClick={() => answerAlike(upload, 'startAgain')}>{alike.startAgain}</button>
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

/** A question in the row of an upload: the other uploads go on. */
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
