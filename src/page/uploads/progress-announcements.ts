import { useComputed, useSignalEffect } from '@preact/signals'
import { formatPercent } from '../format.ts'
import { texts } from '../texts.ts'
import { announcement } from './announcements.ts'
import { summary } from './summary.ts'
import { counts, uploads } from './upload-list.ts'

/** How often the progress of uploads is announced. */
const ANNOUNCE_MS = 10_000

/** Announces the progress of uploads from time to time. */
export function useProgressAnnouncements (): void {
  const isRunning = useComputed(() => counts.value.running > 0)
  useSignalEffect(() => {
    if (!isRunning.value) return
    const timer = setInterval(announceProgress, ANNOUNCE_MS)
    return () => clearInterval(timer)
  })
}

function announceProgress (): void {
  const { waiting, running } = counts.peek()
  const upload = uploads.peek().find(({ state }) => state.peek().kind === 'running')
  if (upload === undefined) return
  const share = upload.sentBytes.peek() / Math.max(upload.file.size, 1)
  announcement.value = waiting + running > 1
    ? summary.peek()
    : texts.uploads.announced.progress(formatPercent(share), upload.name.peek())
}
