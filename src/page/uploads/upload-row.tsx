import { useComputed } from '@preact/signals'
import { PathName } from '../file-name.tsx'
import { formatDuration, formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { session } from '../session-state.ts'
import { texts } from '../texts.ts'
import { failureText } from './failure.ts'
import { FailureActions } from './failure-actions.tsx'
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
      {['running', 'paused'].includes(state.kind) && <Bar upload={upload} />}
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
        <Control key='pause' icon='pause' label={texts.uploads.pause(name)} action={() => pause(upload)} />}
      {kind === 'paused' && <Control key='pause' icon='resume' label={texts.uploads.resume(name)} action={() => resume(upload)} />}
      <Control icon='close' label={texts.uploads.cancel(name)} action={() => cancel(upload)} />
    </span>
  )
}

function Control ({ icon, label, action }: { icon: 'pause' | 'resume' | 'close', label: string, action: () => void }) {
  return <button type='button' class='quiet' aria-label={label} onClick={action}><Icon name={icon} /></button>
}

function Bar ({ upload }: { upload: Upload }) {
  const share = useComputed(() =>
    upload.file.size === 0 ? 0 : Math.floor(100 * upload.sentBytes.value / upload.file.size))
  return <progress aria-label={texts.uploads.progressOf(upload.name.value)} max={100} value={share.value} />
}

function StateText ({ upload }: { upload: Upload }) {
  const { kind } = upload.state.value
  const { state } = texts.uploads
  const isActive = kind === 'waiting' || kind === 'running'
  if (isActive && session.value.kind === 'ended') return <p class='interrupted'>{state.sessionEnded}</p>
  switch (kind) {
    case 'waiting': return <p class='muted'>{isBehind(upload, begunNames.value) ? state.behind : state.waiting}</p>
    case 'paused': return <p class='muted'>{state.paused(formatSize(upload.sentBytes.value), formatSize(upload.file.size))}</p>
    case 'stored': return <p class='muted'>{state.stored(formatSize(upload.sentBytes.value))}</p>
    case 'running': return <RunningText upload={upload} />
    case 'conflict': case 'resumable': case 'failed': return null
  }
}

function RunningText ({ upload }: { upload: Upload }) {
  const { state } = texts.uploads
  const error = upload.interruption.value
  const bytesPerSecond = upload.speed.bytesPerSecond.value
  const rest = upload.file.size - upload.sentBytes.value
  if (error !== undefined) return <p class='interrupted'>{state.interrupted(failureText(error).title)}</p>
  if (rest === 0) return <p class='muted'>{state.finishing}</p>
  const parts = [state.running(formatSize(upload.sentBytes.value), formatSize(upload.file.size))]
  if (bytesPerSecond !== undefined && bytesPerSecond > 0) {
    parts.push(state.speed(formatSize(bytesPerSecond)), state.timeLeft(formatDuration(rest / bytesPerSecond)))
  }
  return <p class='muted'>{parts.join(' · ')}</p>
}
