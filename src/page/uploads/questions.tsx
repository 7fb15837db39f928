import type { StoredFile } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { formatSize, formatTime } from '../format.ts'
import { texts } from '../texts.ts'
import { answerAlike, answerTaken, type Decision } from './queue.ts'
import type { Upload } from './upload.ts'
import { counts } from './upload-list.ts'

/** What to do with a file whose name is taken. */
export function TakenQuestion ({ upload, current }: { upload: Upload, current: StoredFile }) {
  const [isForAll, setForAll] = useState(false)
  const { taken } = texts.uploads
  const answer = (decision: Decision) => answerTaken(upload, decision, { isForAll })
  const { waiting, running, taken: asking } = counts.value
  return (
    <Question text={taken.question(upload.name.value)} explanation={taken.existing(formatSize(current.size), formatTime(current.updatedAt))}>
      <div class='actions'>
        <button type='button' onClick={() => answer('keep')}>{taken.keep}</button>
        <button type='button' onClick={() => answer('replace')}>{taken.replace}</button>
        <button type='button' onClick={() => answer('skip')}>{taken.skip}</button>
      </div>
      {(isForAll || waiting + running + asking > 1) && (
        <label class='for-all'><input type='checkbox' checked={isForAll} onChange={() => setForAll(!isForAll)} /> {taken.forAll}</label>
      )}
    </Question>
  )
}

/** Whether a file is the one of an unfinished upload. */
export function AlikeQuestion ({ upload }: { upload: Upload }) {
  const { alike } = texts.uploads
  return (
    <Question text={alike.question(upload.name.value)} explanation={alike.explanation}>
      <div class='actions'>
        <button type='button' onClick={() => answerAlike(upload, true)}>{alike.continue}</button>
        <button type='button' onClick={() => answerAlike(upload, false)}>{alike.startAgain}</button>
      </div>
    </Question>
  )
}

/** Scrolls the list only: `scrollIntoView` would scroll the page too. */
function showInList (element: HTMLElement | null): void {
  const list = element?.closest('.uploads-body')
  if (element === null || list == null) return
  const below = element.getBoundingClientRect().bottom - list.getBoundingClientRect().bottom
  if (below > 0) list.scrollTop += below
}

interface QuestionProps { text: string, explanation: string, children: ComponentChildren }

function Question ({ text, explanation, children }: QuestionProps) {
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
