import type { StoredFile } from 'magicstore'
import { useEffect, useRef, useState } from 'preact/hooks'
import { drawSquare } from './drawing.ts'
import { smallPictureOf } from './small-pictures.ts'

/** A tile that only passes the view while the user scrolls loads nothing. */
const SETTLE_MS = 150

/** The small picture of a file, in the square of its parent. It is hidden until it is drawn, or if there is none. */
export function TilePicture ({ file }: { file: StoredFile }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [isDrawn, setDrawn] = useState(false)
  useEffect(() => {
    const element = canvas.current
    if (element?.parentElement == null) return
    return whenInView(element.parentElement, async signal => {
      const picture = await smallPictureOf(file, signal)
      signal.throwIfAborted()
      if (picture === undefined) return
      await drawSquare(element, picture)
      setDrawn(true)
    })
  }, [])
  return <canvas ref={canvas} hidden={!isDrawn} />
}

/** Runs an action when an element stays in view. It is aborted when it leaves the view, or by the returned function. */
function whenInView (element: Element, action: (signal: AbortSignal) => Promise<void>): () => void {
  let ended = new AbortController()
  const start = () => {
    const { signal } = ended = new AbortController()
    const timer = setTimeout(() => { action(signal).then(() => observer.disconnect(), () => {}) }, SETTLE_MS)
    signal.addEventListener('abort', () => clearTimeout(timer))
  }
  const observer = new IntersectionObserver(changes => {
    ended.abort()
    if (changes.at(-1)?.isIntersecting === true) start()
  })
  observer.observe(element)
  return () => {
    ended.abort()
    observer.disconnect()
  }
}
