import { useLayoutEffect, useState } from 'preact/hooks'
import { listen } from '../listen.ts'

/** What of an element is in view. Pixels. */
export interface Shown {
  readonly width: number
  /** From its upper edge, with half a window before and after. */
  readonly from: number
  readonly to: number
  /** Where the view begins, to the step before. */
  readonly top: number
  /** The height of the window. */
  readonly page: number
}

/** Scrolling by less than this changes nothing. */
export const STEP_PX = 100

/** What of an element is in view, and how wide it is. `height` is that of the element. */
export function useView (element: { readonly current: HTMLElement | null }, height: number): Shown {
  const [shown, setShown] = useState<Shown>({ width: 0, from: 0, to: 0, top: 0, page: 0 })
  useLayoutEffect(() => {
    if (element.current === null) return
    const measure = () => setShown(before => changed(before, measured(element.current)))
    measure()
    // In the next frame: what is drawn may have another size at once, which WebKit tells as an error.
    const observer = new ResizeObserver(() => requestAnimationFrame(measure))
    observer.observe(element.current)
    const stop = listen({ scroll: measure, resize: measure })
    return () => {
      observer.disconnect()
      stop()
    }
  }, [height])
  return shown
}

function measured (element: HTMLElement | null): Shown {
  const { top = 0, width = 0 } = element?.getBoundingClientRect() ?? {}
  const start = Math.floor(-top / STEP_PX) * STEP_PX
  const [from, to] = [start - innerHeight / 2, start + STEP_PX + innerHeight * 1.5]
  return { width, from, to, top: start, page: innerHeight }
}

/** The same object if nothing changed, so that nothing is rendered. */
function changed (before: Shown, now: Shown): Shown {
  return before.width === now.width && before.top === now.top && before.page === now.page ? before : now
}
