import { useComputed, useSignalEffect, type ReadonlySignal } from '@preact/signals'
import { listen } from '../listen.ts'
import { areKept } from './upload-list.ts'
import { session } from '../session-state.ts'

/** While files are being sent, the browser asks before it leaves the page. */
export function useUnloadWarning (counts: ReadonlySignal<{ readonly running: number }>): void {
  const isRunning = useComputed(() => counts.value.running > 0)
  useSignalEffect(() => {
    if (!isRunning.value) return
    return listen({
      beforeunload (event) {
        // If the page reloads itself, the session has ended, and the user's data must not stay on the screen.
        if (session.peek().kind !== 'loading' && !areKept.peek()) event.preventDefault()
      }
    })
  })
}
