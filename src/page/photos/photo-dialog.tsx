import { useComputed } from '@preact/signals'
import { useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { folder as pageFolder } from '../folder.ts'
import { ProblemText } from '../problem.tsx'
import { readText, writeText } from '../stored-texts.ts'
import { texts } from '../later-texts.ts'
import { useChooser } from '../uploads/use-chooser.ts'
import { useAction } from '../use-action.ts'
import { openFolder } from '../view.ts'
import { compared, uploadPhotos, type Outcome } from './photo-uploads.ts'

/** Where the browser keeps whether pictures go into folders by month. */
const KEY = `photos by month ${pageFolder.pathname}`

/** Chooses pictures and videos of this device, and uploads those that are not there yet. */
export function PhotoDialog ({ onClose }: { onClose: () => void }) {
  const [isByMonth, setByMonth] = useState(readText(KEY) !== undefined)
  const [count, setCount] = useState(0)
  const [outcome, setOutcome] = useState<Outcome>()
  const uploading = useAction(async (files: readonly File[]) => {
    setCount(files.length)
    setOutcome(undefined)
    if (files.length > 0) setOutcome(await uploadPhotos({ files, folder: openFolder.peek(), isByMonth }))
  })
  const { open, input } = useChooser(({ files }) => { void uploading.run(files.map(({ file }) => file)) })
  const choose = (isWanted: boolean) => {
    setByMonth(isWanted)
    writeText(KEY, isWanted ? 'yes' : undefined)
  }
  const { title, hint, byMonth, choose: label, comparing } = texts.photos
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{hint(openFolder.value)}</p>
      <label class='choice'>
        <input
          type='checkbox' checked={isByMonth} disabled={uploading.isRunning}
          onChange={event => choose(event.currentTarget.checked)}
        />
        {byMonth}
      </label>
      <div role='status'>
        {uploading.isRunning && <p>{comparing(compared.value, count)}</p>}
        {outcome !== undefined && <Result outcome={outcome} />}
      </div>
      <ProblemText error={uploading.error} />
      <div class='actions end'>
        <button type='button' class='primary' data-autofocus aria-disabled={uploading.isRunning} onClick={open}>
          {label}
        </button>
        <input {...input} type='file' accept='image/*,video/*' multiple hidden />
      </div>
    </Dialog>
  )
}

/** How many were sent and how many were there, while they are sent. */
function Result ({ outcome: { sent, there } }: { outcome: Outcome }) {
  const stored = useComputed(() => sent.filter(({ state }) => state.value.kind === 'stored').length)
  const words = texts.photos
  const left = sent.length - stored.value
  return <p>{words.sent(stored.value)} {left > 0 && `${words.left(left)} `}{words.there(there)}</p>
}
