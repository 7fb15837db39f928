import { useId, useRef } from 'preact/hooks'
import { mayPass } from '../errors.ts'
import { FileName } from '../file-name.tsx'
import { formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { IconButton } from '../icon-button.tsx'
import { useKeptFocus } from '../uploads/kept-focus.ts'
import { FileUnreadable } from '../uploads/obstacles.ts'
import { ProgressBar, ProgressText } from '../uploads/progress.tsx'
import { useUnloadWarning } from '../uploads/unload-warning.ts'
import { describe, Refusal } from './refusal.tsx'
import type { Sending } from './sending.ts'
import { counts, remove, sendings, tryAgain } from './sendings.ts'
import { texts } from './texts.ts'

const words = texts.request

/** The files that are sent. The list stays when the link ends. */
export function SendingList () {
  useUnloadWarning(counts)
  return sendings.value.length === 0 ? null : <List />
}

function List () {
  const section = useRef<HTMLElement>(null)
  const titleId = useId()
  const { sent, failed } = counts.value
  const summary = [
    words.summary(sent, sendings.value.length),
    ...failed === 0 ? [] : [words.failed(failed)]
  ]
  useKeptFocus(section)
  return (
    <section ref={section} class='card sendings' aria-labelledby={titleId}>
      <header>
        <h2 id={titleId}>{words.list}</h2>
        <p class='muted' role='status'>{summary.join(' · ')}</p>
      </header>
      <ul>{sendings.value.map(sending => <Row key={sending.key} sending={sending} />)}</ul>
    </section>
  )
}

function Row ({ sending }: { sending: Sending }) {
  const { file } = sending
  const state = sending.state.value
  return (
    <li class={`upload ${state.kind}`}>
      <div class='upload-head'>
        <FileName name={file.name} class='upload-name' />
        {state.kind === 'sent' && <span class='done'><Icon name='check' /></span>}
        {state.kind === 'failed' && mayPass(state.error) && !(state.error instanceof FileUnreadable) && (
          <button type='button' aria-label={words.tryAgain(file.name)} onClick={() => tryAgain(sending)}>
            {words.again}
          </button>
        )}
        {state.kind !== 'sent' && (
          <IconButton
            icon='close' label={state.kind === 'failed' ? words.dismiss(file.name) : words.cancel(file.name)}
            onClick={() => remove(sending)}
          />
        )}
      </div>
      {state.kind === 'waiting' && <p class='muted'>{words.waiting}</p>}
      {state.kind === 'running' && (
        <>
          <ProgressBar label={words.progressOf(file.name)} transfer={sending} />
          <ProgressText transfer={sending} words={words} explain={error => describe(error).title} />
        </>
      )}
      {state.kind === 'sent' && <p class='muted'>{words.sent(formatSize(file.size))}</p>}
      {state.kind === 'failed' && <Refusal error={state.error} />}
    </li>
  )
}
