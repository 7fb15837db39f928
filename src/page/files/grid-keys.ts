import type { GridFocus } from './grid-focus.ts'

interface GridKeys<Entry> {
  entries: readonly Entry[]
  keyOf: (entry: Entry) => string
  focus: GridFocus
  /** How many rows Page Up and Page Down move the focus by. */
  page: number
  /** Keys besides those that move the focus. Returns whether the key was one of them. */
  onKey?: ((key: string, entry: Entry) => boolean) | undefined
  /** Called after a key has changed the active control. */
  onMove: () => void
}

/**
 * The event listeners of the rows of a grid: keys change the active control, and a control that gets the focus becomes
 * the active one.
 */
export function listenersOf<Entry> ({ entries, keyOf, focus, page, onKey, onMove }: GridKeys<Entry>) {
  function moveFocus (key: string, from: Place): boolean {
    const target = targetOf(key, { ...from, count: entries.length, page })
    const entry = target && entries[target.index]
    if (target === undefined || entry === undefined) return false
    focus.active.value = { key: keyOf(entry), column: target.column }
    onMove()
    return true
  }

  return {
    onKeyDown (event: KeyboardEvent): void {
      const at = placeOf(event.target)
      const entry = at && entries[at.index]
      if (at === undefined || entry === undefined || event.ctrlKey || event.metaKey || event.altKey) return
      // A key that is held down would apply to each row that follows: it only moves the focus.
      const isAct = !event.repeat && onKey?.(event.key, entry) === true
      if (isAct || moveFocus(event.key, at)) event.preventDefault()
    },

    onFocusIn (event: FocusEvent): void {
      const at = placeOf(event.target)
      const entry = at && entries[at.index]
      if (entry !== undefined) focus.active.value = { key: keyOf(entry), column: at?.column ?? 0 }
    }
  }
}

/** Where a control is in the grid. `columns` is the number of controls in its row. */
interface Place { readonly index: number, readonly column: number, readonly columns: number }

/** Undefined for other elements, such as the input for a new name. */
function placeOf (target: EventTarget | null): Place | undefined {
  const control = target instanceof Element ? target.closest('[data-cell]') : null
  const row = control?.closest<HTMLElement>('[data-index]')
  if (control === null || !row) return undefined
  const controls = Array.from(row.querySelectorAll('[data-cell]'))
  return { index: Number(row.dataset.index), column: controls.indexOf(control), columns: controls.length }
}

interface Position extends Place { readonly count: number, readonly page: number }

function targetOf (
  key: string, { index, column, count, columns, page }: Position
): { index: number, column: number } | undefined {
  const to = (target: number) => ({ index: Math.max(0, Math.min(target, count - 1)), column })
  switch (key) {
    case 'ArrowDown': return to(index + 1)
    case 'ArrowUp': return to(index - 1)
    case 'PageDown': return to(index + page)
    case 'PageUp': return to(index - page)
    case 'Home': return to(0)
    case 'End': return to(count - 1)
    case 'ArrowRight': return { index, column: Math.min(column + 1, columns - 1) }
    case 'ArrowLeft': return { index, column: Math.max(column - 1, 0) }
    default: return undefined
  }
}
