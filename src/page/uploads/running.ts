import { useComputed, useSignalEffect } from '@preact/signals'
import { session } from '../session-state.ts'
import { texts } from '../texts.ts'
import { announcement } from './announcements.ts'
import { summary } from './summary.ts'
import { counts, uploads } from './upload-list.ts'

/** How often the progress of uploads is announced. */
const ANNOUNCE_MS = 10_000

/** While bytes are being sent, the browser asks before it leaves the page. */
export function useUnloadWarning (): void {
  const isRunning = useComputed(() => counts.value.running > 0)
  useSignalEffect(() => {
    if (!isRunning.value) return
    const warn = (event: BeforeUnloadEvent) => {
      // If the page leaves by itself, the session has ended, and the user's data must not stay on the screen.
      if (session.peek().kind !== 'loading') event.preventDefault()
    }
    addEventListener('beforeunload', warn)
    return () => removeEventListener('beforeunload', warn)
  })
}

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
  const share = new Intl.NumberFormat(texts.language, { style: 'percent' }).format(upload.sentBytes.peek() / Math.max(upload.file.size, 1))
  announcement.value = waiting + running > 1
    ? summary.peek()
    : texts.uploads.announced.progress(share, upload.name.peek())
}
