import { computed } from '@preact/signals'
import { formatNumber } from '../format.ts'
import { texts } from '../texts.ts'
import { unfinished } from './unfinished.ts'
import { counts } from './upload-list.ts'

/** All uploads in one line. */
export const summary = computed(() => {
  const { waiting, running, paused, stored, conflict, resumable, failed } = counts.value
  const words = texts.uploads.summary
  const all = waiting + running + paused + stored + conflict + resumable + failed
  const parts = [
    waiting + running > 0
      ? words.uploading(formatNumber(stored), formatNumber(all))
      : stored > 0 && words.done(formatNumber(stored)),
    conflict + resumable > 0 && words.questions(formatNumber(conflict + resumable)),
    failed > 0 && words.failed(formatNumber(failed)),
    paused > 0 && words.paused(formatNumber(paused)),
    unfinished.value.length > 0 && words.unfinished(formatNumber(unfinished.value.length))
  ]
  return parts.filter(part => part !== false).join(' · ')
})
