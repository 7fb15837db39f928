import { useComputed, useSignalEffect } from '@preact/signals'
import { formatPercent } from '../format.ts'
import { counts, titleStart, uploads } from '../uploads/upload-list.ts'

const INTERVAL_MS = 1000

/** Shows the progress of uploads in the title of the window, and how many are left on the icon of the installed app. */
export function useShownProgress (): void {
  const left = useComputed(() => counts.value.running + counts.value.waiting)
  const isRunning = useComputed(() => left.value > 0)
  useSignalEffect(() => { showBadge(left.value) })
  useSignalEffect(() => {
    if (!isRunning.value) return
    showTitle()
    const timer = setInterval(showTitle, INTERVAL_MS)
    return () => {
      clearInterval(timer)
      titleStart.value = ''
    }
  })
}

/** Not every browser has badges, and some refuse them. */
function showBadge (count: number): void {
  const { setAppBadge } = navigator as { setAppBadge?: Navigator['setAppBadge'] }
  // 0 removes it.
  setAppBadge?.call(navigator, count).catch(() => {})
}

function showTitle (): void {
  let [sent, all] = [0, 0]
  for (const { file, sentBytes } of uploads.peek()) {
    sent += sentBytes.peek()
    // The file of a stored upload is empty.
    all += Math.max(file.size, sentBytes.peek())
  }
  titleStart.value = `${formatPercent(sent / Math.max(all, 1))} · `
}
