import { useEffect, useRef } from 'preact/hooks'
import { listen } from '../listen.ts'
import { moved, pinched, toggled, WHOLE, zoomed, type Point, type Sizes, type View } from './zoom.ts'

/** Two taps within this time and distance are a double tap. */
const TAP_MS = 350
const TAP_PX = 30

/** A pointer that moves farther does not tap. */
const STILL_PX = 8

/** How much larger a key makes a picture, and how far the arrow keys move it. */
const KEY_FACTOR = 1.5
const KEY_PX = 80

/** The larger, the faster a wheel zooms. A pinch on a trackpad is a wheel with Ctrl, in small steps. */
const WHEEL_SPEED = 0.002
const PINCH_SPEED = 0.01

const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: KEY_PX, y: 0 },
  ArrowRight: { x: -KEY_PX, y: 0 },
  ArrowUp: { x: 0, y: KEY_PX },
  ArrowDown: { x: 0, y: -KEY_PX }
}

export interface Zoom {
  readonly isZoomed: () => boolean
  /** Returns whether a key has zoomed or moved the picture. */
  readonly press: (key: string) => boolean
}

/**
 * Lets pointers and keys zoom and move the picture in an element. Another `picture` is seen whole; while there is none,
 * pointers belong to what else is in the element.
 */
export function useZoom (stage: { readonly current: HTMLElement | null }, picture: string | undefined): Zoom {
  const view = useRef<View>(WHOLE)
  const image = () => stage.current?.querySelector<HTMLElement>('img.shown')
  const show = (change: (view: View, sizes: Sizes) => View) => {
    const [window, shown] = [stage.current, image()]
    if (window === null || shown == null) return
    const [width, height] = [shown.offsetWidth, shown.offsetHeight]
    const sizes = { picture: { width, height }, window: { width: window.clientWidth, height: window.clientHeight } }
    const { scale, x, y } = view.current = change(view.current, sizes)
    shown.style.transform = `translate(${x}px, ${y}px) scale(${scale})`
    window.toggleAttribute('data-zoomed', scale > 1)
  }
  useEffect(() => {
    const window = stage.current
    view.current = WHOLE
    if (window === null || picture === undefined) return
    show(() => WHOLE)
    const ends = [
      listen(gestures(window, show), window),
      listen(wheel(window, show), window, { passive: false }),
      listen({ resize: () => show((view, sizes) => moved(view, { x: 0, y: 0 }, sizes)) })
    ]
    return () => {
      window.removeAttribute('data-zoomed')
      for (const end of ends) end()
    }
  }, [picture])
  const press = (key: string) => {
    const by = ARROWS[key]
    if (image() == null) return false
    if (key === '+' || key === '=') show((view, sizes) => zoomed(view, { factor: KEY_FACTOR, at: WHOLE }, sizes))
    else if (key === '-') show((view, sizes) => zoomed(view, { factor: 1 / KEY_FACTOR, at: WHOLE }, sizes))
    else if (key === '0') show(() => WHOLE)
    else if (by !== undefined && view.current.scale > 1) show((view, sizes) => moved(view, by, sizes))
    else return false
    return true
  }
  return { isZoomed: () => view.current.scale > 1, press }
}

type Show = (change: (view: View, sizes: Sizes) => View) => void

function wheel (window: HTMLElement, show: Show) {
  return {
    wheel: (event: WheelEvent) => {
      event.preventDefault()
      const factor = Math.exp(-event.deltaY * (event.ctrlKey ? PINCH_SPEED : WHEEL_SPEED))
      show((view, sizes) => zoomed(view, { factor, at: placeIn(window, event) }, sizes))
    }
  }
}

/** One pointer moves the picture, two zoom it, and a double tap does. */
function gestures (window: HTMLElement, show: Show) {
  const pointers = new Map<number, Point>()
  let pressed: PointerEvent | undefined
  let tapped: PointerEvent | undefined
  const end = ({ pointerId }: PointerEvent) => { pointers.delete(pointerId) }
  return {
    pointerdown: (event: PointerEvent) => {
      if (event.button !== 0) return
      pressed = pointers.size === 0 ? event : undefined
      pointers.set(event.pointerId, placeIn(window, event))
      // So that a picture can be moved beyond the window.
      window.setPointerCapture(event.pointerId)
    },
    pointermove: (event: PointerEvent) => {
      const [from, to] = [pointers.get(event.pointerId), placeIn(window, event)]
      if (from === undefined) return
      pointers.set(event.pointerId, to)
      const [other] = Array.from(pointers).flatMap(([id, place]) => id === event.pointerId ? [] : [place])
      if (other !== undefined) show((view, sizes) => pinched(view, { from: [from, other], to: [to, other] }, sizes))
      else show((view, sizes) => moved(view, { x: to.x - from.x, y: to.y - from.y }, sizes))
    },
    pointerup: (event: PointerEvent) => {
      end(event)
      if (pressed === undefined || !areNear(pressed, event, STILL_PX)) return
      const since = event.timeStamp - (tapped?.timeStamp ?? -Infinity)
      const isDouble = tapped !== undefined && since < TAP_MS && areNear(tapped, event, TAP_PX)
      tapped = isDouble ? undefined : event
      if (isDouble) show((view, sizes) => toggled(view, placeIn(window, event), sizes))
    },
    pointercancel: end,
    // The browser would drag the file of the picture.
    dragstart: (event: DragEvent) => event.preventDefault()
  }
}

function areNear (one: MouseEvent, other: MouseEvent, most: number): boolean {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) < most
}

function placeIn (window: HTMLElement, { clientX, clientY }: MouseEvent): Point {
  const { left, top, width, height } = window.getBoundingClientRect()
  return { x: clientX - left - width / 2, y: clientY - top - height / 2 }
}
