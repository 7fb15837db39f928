import type { StoredFile } from 'magicstore'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon } from '../icon.tsx'
import { kindOf, lookOf } from './kinds.ts'
import { canDraw, drawThumbnail } from './thumbnails.ts'

/** A tile that only passes the view while the user scrolls loads nothing. */
const SETTLE_MS = 150

/** The thumbnail of an image or video. Until it is drawn, or if there is none, the icon of the file's kind. */
export function Thumbnail ({ file }: { file: StoredFile }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const isDrawn = useThumbnail(canvas, file)
  return (
    <span class='picture' data-look={lookOf(file)} aria-hidden='true'>
      {!isDrawn && <><Icon name={kindOf(file)} /><span data-ending={endingOf(file)} /></>}
      <canvas ref={canvas} hidden={!isDrawn} />
    </span>
  )
}

/** Draws the thumbnail when the canvas is in view. Returns whether it is drawn. */
function useThumbnail (canvas: { readonly current: HTMLCanvasElement | null }, file: StoredFile): boolean {
  const [isDrawn, setDrawn] = useState(false)
  useEffect(() => {
    const element = canvas.current
    if (element?.parentElement == null || !canDraw(file)) return
    const draw = (signal: AbortSignal) => drawThumbnail(element, file, signal).then(() => setDrawn(true))
    return whenInView(element.parentElement, draw)
  }, [])
  return isDrawn
}

/** Runs an action when an element stays in view. It is aborted when it leaves the view, or by the returned function. */
function whenInView (element: Element, action: (signal: AbortSignal) => Promise<void>): () => void {
  let ended = new AbortController()
  const start = () => {
    const { signal } = ended = new AbortController()
    const timer = setTimeout(() => action(signal).then(() => observer.disconnect(), () => {}), SETTLE_MS)
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

/** The extension of a name, for a label; empty if it has none. */
function endingOf ({ name }: StoredFile): string {
  const [, ending = ''] = /[^/.]\.([a-z0-9]{1,5})$/i.exec(name) ?? []
  return ending.toLowerCase()
}
