import { computed } from '@preact/signals'
import { texts } from '../later-texts.ts'
import type { UploadState } from './upload.ts'
import { UploadRow } from './upload-row.tsx'
import { counts, isIn, SHOWN_STORED, shownUploads } from './upload-list.ts'

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

/** The list of uploads. */
export function UploadRows () {
  return (
    <>
      <ul>
        {rows.value.map(upload => <UploadRow key={upload.key} upload={upload} />)}
      </ul>
      {hiddenCount.value > 0 && <p class='muted'>{texts.uploads.more(hiddenCount.value)}</p>}
    </>
  )
}
