import { PathName } from '../file-name.tsx'
import { formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { IconButton } from '../icon-button.tsx'
import { session } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { failureText } from './failure.ts'
import { FailureActions } from './failure-actions.tsx'
import { ProgressBar, ProgressText } from './progress.tsx'
import { ResumeQuestion, ConflictQuestion } from './questions.tsx'
import { cancel, pause, resume } from './queue.ts'
import type { Upload } from './upload.ts'
import { begunNames, isBehind } from './upload-list.ts'

/** One upload of the list. */
export function UploadRow ({ upload }: { upload: Upload }) {
  const state = upload.state.value
  const name = upload.name.value
  return (
    <li class={`upload ${state.kind}`}>
      <div class='upload-head'>
        <PathName name={name} class='upload-name' />
        <Controls upload={upload} />
      </div>
      {['running', 'paused'].includes(state.kind) &&
        <ProgressBar label={texts.uploads.progressOf(name)} transfer={upload} />}
      <StateText upload={upload} />
      {state.kind === 'conflict' && <ConflictQuestion upload={upload} current={state.current} />}
      {state.kind === 'resumable' && <ResumeQuestion upload={upload} />}
      {state.kind === 'failed' && <FailureActions upload={upload} error={state.error} />}
    </li>
  )
}

function Controls ({ upload }: { upload: Upload }) {
  const { kind } = upload.state.value
  const name = upload.name.value
  if (kind === 'stored') return <span class='done'><Icon name='check' /></span>
  return (
    <span class='upload-controls'>
      {(kind === 'running' || kind === 'waiting') &&
        <IconButton key='pause' icon='pause' label={texts.uploads.pause(name)} onClick={() => pause(upload)} />}
      {kind === 'paused' &&
        <IconButton key='pause' icon='resume' label={texts.uploads.resume(name)} onClick={() => resume(upload)} />}
      <IconButton icon='close' label={texts.uploads.cancel(name)} onClick={() => cancel(upload)} />
    </span>
  )
}

function StateText ({ upload }: { upload: Upload }) {
  const { kind } = upload.state.value
  const { state } = texts.uploads
  const sentSize = formatSize(upload.sentBytes.value)
  const isActive = kind === 'waiting' || kind === 'running'
  if (isActive && session.value.kind === 'ended') return <p class='interrupted'>{state.sessionEnded}</p>
  switch (kind) {
    case 'waiting': return <p class='muted'>{isBehind(upload, begunNames.value) ? state.behind : state.waiting}</p>
    case 'paused': return <p class='muted'>{state.paused(sentSize, formatSize(upload.file.size))}</p>
    case 'stored': return <p class='muted'>{state.stored(sentSize)}</p>
    case 'running':
      return <ProgressText transfer={upload} words={state} explain={error => failureText(error).title} />
    case 'conflict': case 'resumable': case 'failed': return null
  }
}
