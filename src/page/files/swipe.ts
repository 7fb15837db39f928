import { useEffect, useRef } from 'preact/hooks'
import { isRightToLeft } from '../direction.ts'
import { listen } from '../listen.ts'

/** A touch that moves at least this far sideways is a swipe. */
const MIN_PX = 50

/** What uses such a touch itself, or scrolls sideways. */
const OTHERS = 'input, textarea, audio, button, table'

/** How high the controls of a video are, which are at its bottom. */
const VIDEO_CONTROLS_PX = 90

interface Swipe { readonly onPrevious: () => void, readonly onNext: () => void, readonly isOff: () => boolean }

/** Lets a swipe with one finger show the file before, or the next one. A zoomed page moves instead. */
export function useSwipe (element: { readonly current: HTMLElement | null }, swipe: Swipe): void {
  // A render during a swipe does not end it.
  const latest = useRef(swipe)
  latest.current = swipe
  useEffect(() => {
    let start: Touch | undefined
    const begin = ({ touches: [touch, ...others], target }: TouchEvent) => {
      const isFree = touch !== undefined && others.length === 0 && !isOfOther(target, touch) && !latest.current.isOff()
      start = isFree && (visualViewport?.scale ?? 1) === 1 ? touch : undefined
    }
    const end = ({ changedTouches: [touch] }: TouchEvent) => {
      if (start === undefined || touch === undefined) return
      const [x, y] = [touch.clientX - start.clientX, touch.clientY - start.clientY]
      start = undefined
      if (Math.abs(x) < MIN_PX || Math.abs(x) < 2 * Math.abs(y)) return
      if ((x < 0) !== isRightToLeft) latest.current.onNext()
      else latest.current.onPrevious()
    }
    const { current } = element
    return current === null ? undefined : listen({ touchstart: begin, touchend: end }, current, { passive: true })
  }, [])
}

function isOfOther (target: EventTarget | null, { clientY }: Touch): boolean {
  if (!(target instanceof Element)) return false
  const isOfVideo = target.matches('video') && clientY > target.getBoundingClientRect().bottom - VIDEO_CONTROLS_PX
  return isOfVideo || target.closest(OTHERS) !== null
}
