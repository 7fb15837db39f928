import { untracked, useComputed, useSignalEffect } from '@preact/signals'
import { useEffect, useId, useRef } from 'preact/hooks'
import { IconButton } from '../icon-button.tsx'
import { UnfinishedList, UploadRows } from '../later.tsx'
import { lastOf } from '../paths.ts'
import { Retry } from '../problem.tsx'
import { session } from '../session-state.ts'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { openFolder } from '../view.ts'
import { announcement } from './announcements.ts'
import { takeArrivals } from './arrivals.ts'
import { isDragging } from './drops.ts'
import { useFolding } from './folding.ts'
import { useKeptFocus } from './kept-focus.ts'
import { refreshUnfinished } from './outcome.ts'
import { pauseAll, resumeAll, startNext } from './queue.ts'
import { useProgressAnnouncements } from './progress-announcements.ts'
import { summary } from './summary.ts'
import { unfinished } from './unfinished.ts'
import { clearFinished, counts, hasResumable, uploads } from './upload-list.ts'
import { useUnloadWarning } from './unload-warning.ts'

/** All uploads. The panel stays when the view changes. */
export function UploadPanel () {
  const { run, error } = useAction(refreshUnfinished)
  const isOpen = useComputed(() => session.value.kind === 'open')
  const continueUploads = () => {
    void run()
    startNext()
  }
  useEffect(takeArrivals, [])
  useSignalEffect(() => { if (isOpen.value) untracked(continueUploads) })
  useUnloadWarning(counts)
  useProgressAnnouncements()
  return (
    <>
      <div class='hidden' role='status'>{announcement}</div>
      {isDragging.value && <DropTarget folder={openFolder.value} />}
      {(uploads.value.length > 0 || unfinished.value.length > 0 || error !== undefined) &&
        <Panel error={error} onRetry={run} />}
    </>
  )
}

function DropTarget ({ folder }: { folder: string }) {
  const { dropHere, dropInto } = texts.uploads
  return <div class='drop-target' role='status'><p>{folder === '' ? dropHere : dropInto(lastOf(folder))}</p></div>
}

function Panel ({ error, onRetry }: { error: unknown, onRetry: () => Promise<void> }) {
  const panel = useRef<HTMLElement>(null)
  const titleId = useId()
  const { isOpen, isDone } = useFolding(panel)
  useKeptFocus(panel)
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
