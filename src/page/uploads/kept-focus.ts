import { useEffect } from 'preact/hooks'
import { focusMain, isFocusLost } from '../focus.ts'
import { listen } from '../listen.ts'

/**
 * Moves the focus when the focused element is removed: to a control of the same row, of the row in its place, or to the
 * first control of the panel. Without it, browsers reset the focus, and the next Tab begins at the top of the page.
 */
export function useKeptFocus (panel: { readonly current: HTMLElement | null }): void {
  useEffect(() => {
    const root = panel.current
    if (root === null) return
    let place: Place | undefined
    const savePlace = ({ target }: FocusEvent) => { place = placeOf(root, target as HTMLElement) }
    // The removal of an element causes this event too. A microtask later it is known whether the element was removed.
    const leave = () => queueMicrotask(() => {
      if (place?.element.isConnected === true && !root.contains(document.activeElement)) place = undefined
    })
    const stop = listen({ focusin: savePlace, focusout: leave }, root)
    const observer = new MutationObserver(() => {
      if (place?.element.isConnected === false && isFocusLost()) focusNear(root, place)
    })
    observer.observe(root, { childList: true, subtree: true })
    return () => {
      observer.disconnect()
      stop()
      if (place !== undefined && (root.contains(document.activeElement) || isFocusLost())) focusMain()
    }
  }, [])
}

interface Place { readonly element: HTMLElement, readonly row: HTMLElement | null, readonly index: number }

const rowsOf = (root: HTMLElement) => Array.from(root.querySelectorAll<HTMLElement>('li'))

function placeOf (root: HTMLElement, element: HTMLElement): Place {
  const row = element.closest('li')
  return { element, row, index: row === null ? -1 : rowsOf(root).indexOf(row) }
}

function focusNear (root: HTMLElement, { row, index }: Place): void {
  const rows = rowsOf(root)
  const next = row?.isConnected === true ? row : rows[index] ?? rows.at(-1)
  const inRow = index === -1 ? undefined : next?.querySelector<HTMLElement>('button, input:not([hidden])')
  const control = inRow ?? root.querySelector('button')
  control?.focus()
}
