import { useMemo } from 'preact/hooks'
import { LongPress } from './long-press.ts'
import type { Selection } from './selection.ts'

/** The parts of a row where a click does not choose it. */
const OTHERS = '.select-cell, .menu-cell, .refusal, form'

/**
 * The event listeners of rows that can be chosen: a click with Ctrl or Cmd and a long press choose a row, and a click
 * with Shift a range. Once a row is chosen, a tap chooses as well. They listen before the controls in the rows.
 */
export function usePointerSelection<Entry> (
  selection: Selection<Entry> | undefined, entryAt: (index: number) => Entry | undefined
): object | undefined {
  // That of the latest render.
  const latest = useMemo(() => ({ entryAt }), [])
  latest.entryAt = entryAt
  return useMemo(() => selection && listenersOf(selection, target => rowOf(target, latest.entryAt)), [])
}

function listenersOf<Entry> (
  selection: Selection<Entry>, entryOf: (target: EventTarget | null) => Entry | undefined
) {
  const press = new LongPress()
  let isTouch = false
  /** Set by a long press until its click. */
  let isPressed = false
  return {
    onPointerDownCapture (event: PointerEvent): void {
      press.end()
      isTouch = event.pointerType === 'touch'
      isPressed = false
      const entry = entryOf(event.target)
      if (!isTouch || !event.isPrimary || entry === undefined) return
      press.begin(event, () => {
        isPressed = true
        selection.toggle(entry)
      })
    },
    onPointerMoveCapture: press.move,
    onPointerUpCapture: press.end,
    onPointerCancelCapture: press.end,
    // A long press would open a menu of the browser, or begin to drag.
    onContextMenuCapture (event: Event): void {
      if (isTouch && entryOf(event.target) !== undefined) stop(event)
    },
    onDragStartCapture (event: Event): void {
      if (isTouch) stop(event)
    },
    onClickCapture (event: MouseEvent): void {
      const entry = entryOf(event.target)
      // The `detail` of a click by a key or a screen reader is 0.
      if (entry === undefined || event.detail === 0) return
      const isTap = isTouch && !selection.isEmpty.peek()
      if (isPressed) isPressed = false
      else if (event.shiftKey) selection.extend(entry)
      else if (event.ctrlKey || event.metaKey || isTap) selection.toggle(entry)
      else return
      stop(event)
    }
  }
}

function rowOf<Entry> (
  target: EventTarget | null, entryAt: (index: number) => Entry | undefined
): Entry | undefined {
  if (!(target instanceof Element) || target.closest(OTHERS) !== null) return undefined
  const row = target.closest<HTMLElement>('[data-index]')
  return row === null ? undefined : entryAt(Number(row.dataset.index))
}

function stop (event: Event): void {
  event.preventDefault()
  event.stopPropagation()
}
