import { useId, useRef } from 'preact/hooks'
import { IconButton } from '../icon-button.tsx'
import { Retry } from '../problem.tsx'
import { texts } from '../later-texts.ts'
import { useFolding } from './folding.ts'
import { useKeptFocus } from './kept-focus.ts'
import { pauseAll, resumeAll } from './queue.ts'
import { useProgressAnnouncements } from './progress-announcements.ts'
import { summary } from './summary.ts'
import { UnfinishedList } from './unfinished-list.tsx'
import { clearFinished, counts, hasResumable } from './upload-list.ts'
import { UploadRows } from './upload-rows.tsx'
import { useUnloadWarning } from './unload-warning.ts'

/** The uploads of this window, and those that earlier ones have not finished. */
export function Panel ({ error, onRetry }: { error: unknown, onRetry: () => Promise<void> }) {
  const panel = useRef<HTMLElement>(null)
  const titleId = useId()
  const { isOpen, isDone } = useFolding(panel)
  useKeptFocus(panel)
  useUnloadWarning(counts)
  useProgressAnnouncements()
  const { title, list, clearFinished: clear } = texts.uploads
  return (
    <section ref={panel} class='uploads' aria-labelledby={titleId}>
      <header>
        <h2 id={titleId}>{title}</h2>
        <p class='muted'>{summary}</p>
        <IconButton
          icon={isOpen.value ? 'down' : 'up'} label={list} aria-expanded={isOpen.value}
          onClick={() => { isOpen.value = !isOpen.peek() }}
        />
        {!isOpen.value && isDone.value &&
          <IconButton icon='close' label={clear} title={clear} onClick={clearFinished} />}
      </header>
      {isOpen.value && <AllActions />}
      {isOpen.value && (
        <div class='uploads-body' tabIndex={0} role='group' aria-label={list}>
          {error !== undefined && <div class='actions'><Retry error={error} action={() => { void onRetry() }} /></div>}
          <UploadRows />
          <UnfinishedList />
        </div>
      )}
    </section>
  )
}

function AllActions () {
  const { waiting, running, stored } = counts.value
  return (
    <div class='actions'>
      {waiting + running > 1 && <button type='button' onClick={pauseAll}>{texts.uploads.pauseAll}</button>}
      {hasResumable.value && <button type='button' onClick={resumeAll}>{texts.uploads.resumeAll}</button>}
      {stored > 0 && <button type='button' onClick={clearFinished}>{texts.uploads.clearFinished}</button>}
    </div>
  )
}
