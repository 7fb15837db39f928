import { useEffect, useRef } from 'preact/hooks'
import { listen } from '../listen.ts'

export function PdfViewer ({ address, title }: { address: string | undefined, title: string }) {
  const frame = useRef<HTMLIFrameElement>(null)
  useEffect(() => returnFocus(frame.current), [])
  return <iframe class='shown' ref={frame} src={address} title={title} />
}

/**
 * Returns the focus when the viewer takes it to report that a file is damaged: there, Escape would not reach the page.
 * The page can't tell this from a click into the viewer, so that it returns the focus only once. Tab moves the focus
 * there as usual.
 */
function returnFocus (frame: HTMLIFrameElement | null): () => void {
  let before = document.activeElement
  let isByTab = false
  const note = ({ target }: FocusEvent) => {
    before = target as Element
    isByTab = false
  }
  const leave = () => {
    if (document.activeElement !== frame || isByTab) return
    stop()
    // In a later task, because the browser moves the focus of the keyboard after this event.
    setTimeout(() => { if (before instanceof HTMLElement) before.focus() })
  }
  const stop = listen({ keydown: ({ key }) => { isByTab = key === 'Tab' }, focusin: note, blur: leave })
  return stop
}
