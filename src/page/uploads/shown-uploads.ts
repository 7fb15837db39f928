import { computed } from '@preact/signals'
import type { Upload, UploadState } from './upload.ts'
import { uploads } from './upload-list.ts'

/** The most rows of each state. The summary counts all uploads. */
const MAX_ROWS: Record<UploadState['kind'], number> = { running: 10, taken: 20, alike: 20, failed: 20, paused: 10, waiting: 10, stored: 5 }

/** The uploads that the list shows, in the order of all uploads: the last stored ones, and the first ones in each other state. */
export const shownUploads = computed(() => {
  const left = { ...MAX_ROWS, stored: Infinity }
  const first = uploads.value.filter(({ state }) => left[state.value.kind]-- > 0)
  const isStored = ({ state }: Upload) => state.peek().kind === 'stored'
  let surplus = first.filter(isStored).length - MAX_ROWS.stored
  const shown = first.filter(upload => !isStored(upload) || surplus-- <= 0)
  return { shown, hiddenCount: uploads.value.length - shown.length }
})
