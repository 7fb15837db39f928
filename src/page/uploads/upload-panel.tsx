import { untracked, useComputed, useSignalEffect } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { isOffline } from '../connection.ts'
import { Panel } from '../later.tsx'
import { lastOf } from '../paths.ts'
import { session } from '../session-state.ts'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { openFolder } from '../view.ts'
import { announcement } from './announcements.ts'
import { takeArrivals } from './arrivals.ts'
import { isDragging } from './drops.ts'
import { refreshUnfinished } from './outcome.ts'
import { startNext } from './queue.ts'
import { unfinished } from './unfinished.ts'
import { uploads } from './upload-list.ts'

/** All uploads. The panel stays when the view changes. */
export function UploadPanel () {
  const { run, error } = useAction(refreshUnfinished)
  const isOpen = useComputed(() => session.value.kind === 'open' && !isOffline.value)
  const continueUploads = () => {
    void run()
    startNext()
  }
  useEffect(takeArrivals, [])
  useSignalEffect(() => { if (isOpen.value) untracked(continueUploads) })
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
