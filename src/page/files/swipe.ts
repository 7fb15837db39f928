import { useEffect } from 'preact/hooks'
import { isRightToLeft } from '../direction.ts'
import { listen } from '../listen.ts'

/** A touch that moves at least this far sideways is a swipe. */
const MIN_PX = 50

/** What uses such a touch itself, or scrolls sideways. */
const OTHERS = 'input, audio, video, button'

interface Swipe { readonly onPrevious: () => void, readonly onNext: () => void }

/** Lets a swipe with one finger show the file before, or the next one. A zoomed page moves instead. */
export function useSwipe (element: { readonly current: HTMLElement | null }, swipe: Swipe): void {
  useEffect(() => {
    let start: Touch | undefined
    const begin = ({ touches, target }: TouchEvent) => {
      const isOther = target instanceof Element && target.closest(OTHERS) !== null
      start = touches.length === 1 && !isOther && (visualViewport?.scale ?? 1) === 1 ? touches[0] : undefined
    }
    const end = ({ changedTouches: [touch] }: TouchEvent) => {
      if (start === undefined || touch === undefined) return
      const [x, y] = [touch.clientX - start.clientX, touch.clientY - start.clientY]
      start = undefined
      if (Math.abs(x) < MIN_PX || Math.abs(x) < 2 * Math.abs(y)) return
      if ((x < 0) !== isRightToLeft) swipe.onNext()
      else swipe.onPrevious()
    }
    return element.current === null
      ? undefined
      : listen({ touchstart: begin, touchend: end }, element.current, { passive: true })
  })
}
