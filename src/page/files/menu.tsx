import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import { NEXT_KEY, PREVIOUS_KEY } from '../direction.ts'
import { listen } from '../listen.ts'

export interface MenuItem {
  readonly label: string
  readonly isDanger?: boolean
  readonly action: () => void
}

/** Room between the menu and the edge of the window. */
const EDGE_PX = 4

/** A place in the window. */
export interface Point { readonly x: number, readonly y: number }

interface MenuProps {
  label: string
  /** The element that opened it gets the focus back. */
  opener: HTMLElement
  /** Where the pointer is. Without it, the menu is at the element that opened it. */
  at?: Point | undefined
  items: readonly MenuItem[]
  class?: string
  onClose: () => void
}

/** A menu at its button (ARIA menu button pattern), or at the pointer. */
export function Menu ({ label, opener, at, items, class: className = '', onClose }: MenuProps) {
  const list = useRef<HTMLDivElement>(null)
  // A layout effect, so that the focus has moved before the next key is pressed.
  useLayoutEffect(() => {
    const menu = list.current
    if (menu !== null) place(menu, at === undefined ? opener.getBoundingClientRect() : pointed(at, menu.offsetWidth))
    list.current?.querySelector('button')?.focus({ preventScroll: true })
  }, [])
  useClosing(list, onClose)
  const close = () => {
    opener.focus({ preventScroll: true })
    onClose()
  }
  function press (event: KeyboardEvent): void {
    const buttons = Array.from(list.current?.querySelectorAll('button') ?? [])
    const target = targetOf(event.key, buttons, document.activeElement)
    if (event.key === 'Escape' || event.key === 'Tab') close()
    else target?.focus()
    // Tab moves on from the button.
    if (event.key === 'Escape' || target !== undefined) event.preventDefault()
  }
  return (
    <div
      class={`menu ${className}`} role='menu' aria-label={label} ref={list} onKeyDown={press}
      onContextMenu={event => event.preventDefault()}
    >
      {items.map(({ label, isDanger = false, action }) => (
        <button
          key={label} type='button' role='menuitem' tabIndex={-1} class={isDanger ? 'danger' : ''}
          onClick={() => { close(); action() }}
        >
          {label}
        </button>
      ))}
    </div>
  )
}

function targetOf (key: string, buttons: HTMLElement[], focused: Element | null): HTMLElement | undefined {
  const index = buttons.findIndex(button => button === focused)
  switch (key) {
    case 'ArrowDown': case NEXT_KEY: return buttons[(index + 1) % buttons.length]
    case 'ArrowUp': case PREVIOUS_KEY: return buttons.at(index - 1)
    case 'Home': return buttons[0]
    case 'End': return buttons.at(-1)
    default: return key.length === 1
      ? beginningWith(key, [...buttons.slice(index + 1), ...buttons.slice(0, index + 1)])
      : undefined
  }
}

function beginningWith (letter: string, buttons: HTMLElement[]): HTMLElement | undefined {
  return buttons.find(({ textContent }) => textContent?.toLowerCase().startsWith(letter.toLowerCase()))
}

type Place = Pick<DOMRect, 'top' | 'bottom' | 'left' | 'right'>

/** The place of a menu that begins at a point, in either direction of writing. */
function pointed ({ x, y }: Point, width: number): Place {
  return { top: y, bottom: y, left: x - width, right: x + width }
}

/** Places the menu below its button, or above it if there is no room. */
function place (menu: HTMLElement, { top, bottom, right, left }: Place): void {
  const { offsetHeight, offsetWidth } = menu
  const isBelow = bottom + offsetHeight < innerHeight || top < offsetHeight
  menu.style.top = `${Math.max(0, isBelow ? Math.min(bottom, innerHeight - offsetHeight) : top - offsetHeight)}px`
  const isLeftToRight = getComputedStyle(menu).direction === 'ltr'
  const mostLeft = document.documentElement.clientWidth - offsetWidth - EDGE_PX
  menu.style.left = `${Math.max(EDGE_PX, Math.min(isLeftToRight ? right - offsetWidth : left, mostLeft))}px`
}

/** Closes the menu when another element is used, and when its button moves. */
function useClosing (list: { current: HTMLElement | null }, onClose: () => void): void {
  useEffect(() => {
    const press =
      ({ target }: Event) => { if (!(target instanceof Node) || list.current?.contains(target) !== true) onClose() }
    const stops = [
      listen({ pointerdown: press }, window, { capture: true }),
      listen({ scroll: onClose, resize: onClose })
    ]
    return () => stops.forEach(stop => stop())
  }, [])
}
