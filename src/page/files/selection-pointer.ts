import { useMemo } from 'preact/hooks'
import type { Selection } from './selection.ts'

/** A touch of this length is a long press. */
const LONG_PRESS_MS = 500

/** A touch that moves farther scrolls. */
const MOVE_PX = 10

/** The parts of a row where a click does not choose it. */
const OTHERS = '.select-cell, .menu-cell, .refusal, form'

interface Press { readonly x: number, readonly y: number, readonly timer: ReturnType<typeof setTimeout> }

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
  let press: Press | undefined
  let isTouch = false
  /** Set by a long press until its click. */
  let isPressed = false
  const end = () => {
    clearTimeout(press?.timer)
    press = undefined
  }
  const begin = (entry: Entry) => setTimeout(() => {
    isPressed = true
    selection.toggle(entry)
    end()
  }, LONG_PRESS_MS)
  return {
    onPointerDownCapture ({ pointerType, isPrimary, target, clientX: x, clientY: y }: PointerEvent): void {
      end()
      isTouch = pointerType === 'touch'
      isPressed = false
      const entry = entryOf(target)
      if (isTouch && isPrimary && entry !== undefined) press = { x, y, timer: begin(entry) }
    },
    onPointerMoveCapture ({ clientX, clientY }: PointerEvent): void {
      if (press !== undefined && Math.hypot(clientX - press.x, clientY - press.y) > MOVE_PX) end()
    },
    onPointerUpCapture: end,
    onPointerCancelCapture: end,
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
