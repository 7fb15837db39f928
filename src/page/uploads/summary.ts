import { computed } from '@preact/signals'
import { texts } from '../later-texts.ts'
import { unfinished } from './unfinished.ts'
import { counts } from './upload-list.ts'

/** All uploads in one line. */
export const summary = computed(() => {
  const { waiting, running, paused, stored, conflict, resumable, failed } = counts.value
  const words = texts.uploads.summary
  const all = waiting + running + paused + stored + conflict + resumable + failed
  const parts = [
    waiting + running > 0
      ? words.uploading(stored, all)
      : stored > 0 && words.done(stored),
    conflict + resumable > 0 && words.questions(conflict + resumable),
    failed > 0 && words.failed(failed),
    paused > 0 && words.paused(paused),
    unfinished.value.length > 0 && words.unfinished(unfinished.value.length)
  ]
  return parts.filter(part => part !== false).join(' · ')
})
