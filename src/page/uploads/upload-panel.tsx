import { computed, untracked, useComputed, useSignalEffect } from '@preact/signals'
import { useEffect, useId, useRef } from 'preact/hooks'
import { formatNumber } from '../format.ts'
import { IconButton } from '../icon-button.tsx'
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
import { UnfinishedList } from './unfinished-list.tsx'
import type { UploadState } from './upload.ts'
import { clearFinished, counts, hasResumable, isIn, SHOWN_STORED, shownUploads, uploads } from './upload-list.ts'
import { UploadRow } from './upload-row.tsx'
import { useUnloadWarning } from './unload-warning.ts'

/** The most rows of each state. The summary counts all uploads. */
const MAX_ROWS: Record<UploadState['kind'], number> = {
  running: 10, conflict: 20, resumable: 20, failed: 20, paused: 10, waiting: 10, stored: SHOWN_STORED
}

/**
 * The uploads that the list shows, in the order of all uploads: the last stored ones, and the first ones in each other
 * state.
 */
const rows = computed(() => {
  const left = { ...MAX_ROWS, stored: Infinity }
  const first = shownUploads.value.filter(({ state }) => left[state.peek().kind]-- > 0)
  const isStored = isIn('stored')
  let surplus = first.filter(isStored).length - MAX_ROWS.stored
  return first.filter(upload => !isStored(upload) || surplus-- <= 0)
})

const hiddenCount = computed(() =>
  Object.values(counts.value).reduce((sum, count) => sum + count, 0) - rows.value.length)

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
          <UploadList />
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

function UploadList () {
  return (
    <>
      <ul>
        {rows.value.map(upload => <UploadRow key={upload.key} upload={upload} />)}
      </ul>
      {hiddenCount.value > 0 && <p class='muted'>{texts.uploads.more(formatNumber(hiddenCount.value))}</p>}
    </>
  )
}
