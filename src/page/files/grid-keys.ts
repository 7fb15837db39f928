import { NEXT_KEY, PREVIOUS_KEY } from '../direction.ts'
import { lastOf } from '../paths.ts'
import type { GridFocus } from './grid-focus.ts'
import type { Point } from './menu.tsx'
import { chooseByKey, holdBackClick } from './selection-keys.ts'
import type { Selection } from './selection.ts'
import type { TypeAhead } from './type-ahead.ts'

interface GridKeys<Entry> {
  entries: readonly Entry[]
  keyOf: (entry: Entry) => string
  nameOf: (entry: Entry) => string
  focus: GridFocus
  selection: Selection<Entry> | undefined
  typeAhead: TypeAhead
  /** How many rows Page Up and Page Down move the focus by. */
  page: number
  /** Entries beside each other in a row; 1 in a list. */
  perRow: number
  /** Keys besides those that move the focus. Returns whether the key was one of them. */
  onKey?: ((key: string, entry: Entry) => boolean) | undefined
  /** Called after a key has changed the active control. */
  onMove: () => void
  /** Opens the menu of an entry at the pointer. `opener` gets the focus back. */
  onMenu?: OpenMenu<Entry> | undefined
}

export type OpenMenu<Entry> = (entry: Entry, opener: HTMLElement, at: Point) => void

/**
 * The event listeners of the rows of a grid: keys change the active control, and with Shift the selection; letters find
 * a name. A control that gets the focus becomes the active one.
 */
export function listenersOf<Entry> ({
  entries, keyOf, nameOf, focus, selection, typeAhead, page, perRow, onKey, onMove, onMenu
}: GridKeys<Entry>) {
  function focusRow (index: number, column: number): Entry | undefined {
    const entry = entries[index]
    if (entry === undefined) return undefined
    focus.active.value = { key: keyOf(entry), column }
    onMove()
    return entry
  }

  function moveFocus ({ key, shiftKey }: KeyboardEvent, from: Place): boolean {
    const target = targetOf(key, { ...from, count: entries.length, page, perRow })
    const entry = target && focusRow(target.index, target.column)
    if (shiftKey && entry !== undefined && target?.index !== from.index) selection?.extend(entry, entries[from.index])
    return entry !== undefined
  }

  function findName ({ key }: KeyboardEvent, { index, column }: Place): boolean {
    if (!isLetter(key) || (key === ' ' && !typeAhead.isTyping())) return false
    const found = focusRow(typeAhead.find(key, entries.map(entry => lastOf(nameOf(entry))), index), column)
    return found !== undefined || key !== ' '
  }

  function follow (event: KeyboardEvent, at: Place, entry: Entry): boolean {
    // A key that is held down must not act on each row that follows: it only moves the focus.
    return (!event.repeat && onKey?.(event.key, entry) === true) || moveFocus(event, at) || findName(event, at) ||
      (selection !== undefined && chooseByKey({ event, entry, selection }))
  }

  return {
    onKeyDown (event: KeyboardEvent): void {
      const at = placeOf(event.target)
      const entry = at && entries[at.index]
      if (at === undefined || entry === undefined || event.ctrlKey || event.metaKey || event.altKey) return
      if (follow(event, at, entry)) event.preventDefault()
    },

    onKeyUp: selection === undefined ? undefined : holdBackClick,

    /** By the right button, the menu key or Shift+F10. */
    onContextMenu: onMenu && ((event: MouseEvent): void => {
      const { target, clientX: x, clientY: y } = event
      if (!(target instanceof Element) || target.closest(MENU_USERS) !== null) return
      const row = target.closest<HTMLElement>('[data-index]')
      const control = target.closest<HTMLElement>('[data-cell]') ?? row?.querySelector<HTMLElement>(NAME_CONTROL)
      const entry = entries[Number(row?.dataset.index)]
      if (entry === undefined || !control) return
      event.preventDefault()
      onMenu(entry, control, { x, y })
    }),

    onFocusIn (event: FocusEvent): void {
      const at = placeOf(event.target)
      const entry = at && entries[at.index]
      if (entry !== undefined) focus.active.value = { key: keyOf(entry), column: at?.column ?? 0 }
    }
  }
}

/** A character of a name, but not a shortcut of the page. */
function isLetter (key: string): boolean {
  return Array.from(key).length === 1 && !'/?'.includes(key)
}

/** What has a menu of its own, such as that of the browser for a text. */
const MENU_USERS = 'form, .refusal'

/** The control that opens an entry. */
const NAME_CONTROL = '[data-cell]:not(input)'

/** Where a control is in the grid. The columns go from `first`, which is -1 if the row has a box, to `last`. */
interface Place { readonly index: number, readonly column: number, readonly first: number, readonly last: number }

/** Undefined for other elements, such as the input for a new name. */
function placeOf (target: EventTarget | null): Place | undefined {
  const control = target instanceof Element ? target.closest('[data-cell]') : null
  const row = control?.closest<HTMLElement>('[data-index]')
  if (control === null || !row) return undefined
  const { controls, first } = cellsOf(row)
  const column = controls.findIndex(other => other === control) + first
  return { index: Number(row.dataset.index), column, first, last: controls.length - 1 + first }
}

/** The controls of a row. `first` is the column of the first one: -1 is the box that chooses the row. */
export function cellsOf (row: Element): { controls: HTMLElement[], first: number } {
  const controls = Array.from(row.querySelectorAll<HTMLElement>('[data-cell]'))
  return { controls, first: controls[0]?.closest('.select-cell') == null ? 0 : -1 }
}

interface Position extends Place { readonly count: number, readonly page: number, readonly perRow: number }

function targetOf (
  key: string, { index, column, first, last, count, page, perRow }: Position
): { index: number, column: number } | undefined {
  const to = (target: number) => ({ index: Math.max(0, Math.min(target, count - 1)), column })
  switch (key) {
    case 'ArrowDown': return to(index + perRow)
    case 'ArrowUp': return to(index - perRow)
    case 'PageDown': return to(index + page * perRow)
    case 'PageUp': return to(index - page * perRow)
    case 'Home': return to(0)
    case 'End': return to(count - 1)
    case NEXT_KEY: return perRow > 1 ? to(index + 1) : { index, column: Math.min(column + 1, last) }
    case PREVIOUS_KEY: return perRow > 1 ? to(index - 1) : { index, column: Math.max(column - 1, first) }
    default: return undefined
  }
}
