import { useComputed, useSignal, useSignalEffect, type Signal } from '@preact/signals'
import { unfinished } from './unfinished.ts'
import { counts } from './upload-list.ts'

/** The list stays open for so long after the last upload. */
const SHOWN_MS = 4000

interface Folding {
  readonly isOpen: Signal<boolean>
  /** Whether all files are stored, and nothing waits for the user. */
  readonly isDone: { readonly value: boolean }
}

/** Whether the list of uploads is open. It opens for each question and failure, and closes when all is done. */
export function useFolding (panel: { readonly current: HTMLElement | null }): Folding {
  const isOpen = useSignal(true)
  const asking = useComputed(() => counts.value.conflict + counts.value.resumable + counts.value.failed)
  const isDone = useComputed(() => {
    const { waiting, running, paused } = counts.value
    return waiting + running + paused + asking.value + unfinished.value.length === 0
  })
  useSignalEffect(() => { if (asking.value > 0) isOpen.value = true })
  useSignalEffect(() => {
    if (!isDone.value) return
    let isFolded = false
    const timer = setInterval(() => {
      if (isInUse(panel.current)) return
      clearInterval(timer)
      isFolded = isOpen.peek()
      isOpen.value = false
    }, SHOWN_MS)
    return () => {
      clearInterval(timer)
      if (isFolded) isOpen.value = true
    }
  })
  return { isOpen, isDone }
}

/** A list that is being read or used stays open, as does one with the reason why it could not be loaded. */
function isInUse (panel: HTMLElement | null): boolean {
  // After a tap, the element in its place counts as hovered.
  const isHovered = matchMedia('(hover: hover)').matches && panel?.matches(':hover') === true
  return isHovered || panel?.matches(':is(:focus-within, :has([role="alert"]))') === true
}
