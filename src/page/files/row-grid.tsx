import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import type { GridFocus, GridPosition } from './grid-focus.ts'
import type { Listing } from './listing.ts'
import { useVisibleRows } from './use-visible-rows.ts'

export interface RowGridProps<Entry> {
  label: string
  class: string
  listing: Listing<Entry>
  keyOf: (entry: Entry) => string
  focus: GridFocus
  /** The row of column headers. */
  header: ComponentChildren
  /** The cells of a row. The controls in them have `data-cell`, and `tabIndex` 0 if `isActive`. */
  cells: (entry: Entry, isActive: boolean) => ComponentChildren
  /** Keys besides those that move the focus. Returns whether the key was one of them. */
  onKey?: (key: string, entry: Entry) => boolean
  /** The length of the whole list, if known. */
  total?: number
}

/**
 * A list of any length as an ARIA grid. Only the rows near the view are in the document, and the active one, so that scrolling never
 * loses the focus. The page scrolls, not the grid: with large text, a small window would leave a scrolling box no room.
 */
export function RowGrid<Entry> ({ label, class: className, listing, keyOf, focus, header, cells, onKey, total }: RowGridProps<Entry>) {
  const body = useRef<HTMLDivElement>(null)
  const entries = listing.entries.value
  const isMoving = useRef(false)
  const rows = useVisibleRows(body, entries.length)
  const activeIndex = useActiveIndex(entries, keyOf, focus)
  useKeptFocus({ body, isMoving, activeIndex, focus, indexOf: key => entries.findIndex(entry => keyOf(entry) === key) })
  useEffect(() => listing.see(rows.end - 1), [rows.end, entries, listing.isLoading.value])

  function press (event: KeyboardEvent): void {
    const at = placeOf(event.target)
    const entry = at && entries[at.index]
    if (at === undefined || entry === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    // A key that is held down would act on each row that follows: it only moves the focus.
    const isAct = !event.repeat && onKey?.(event.key, entry) === true
    if (!isAct && !moveFocus(event.key, at)) return
    event.preventDefault()
  }

  function moveFocus (key: string, at: Place): boolean {
    const target = targetOf(key, { ...at, count: entries.length, page: rows.page })
    const entry = target && entries[target.index]
    if (target === undefined || entry === undefined) return false
    focus.active.value = { key: keyOf(entry), column: target.column }
    isMoving.current = true
    return true
  }

  function remember (event: FocusEvent): void {
    const at = placeOf(event.target)
    const entry = at && entries[at.index]
    if (entry !== undefined) focus.active.value = { key: keyOf(entry), column: at?.column ?? 0 }
  }

  // ARIA: -1 if it is not known. The header is a row.
  const rowCount = listing.isComplete.value ? entries.length + 1 : (total ?? -2) + 1
  const shown = Array.from({ length: rows.end - rows.start }, (_, offset) => rows.start + offset)
  if (activeIndex >= 0 && !shown.includes(activeIndex)) shown.push(activeIndex)
  return (
    <div class={`grid ${className}`} role='grid' aria-label={label} aria-rowcount={rowCount} aria-busy={listing.isLoading.value}>
      <div role='rowgroup' class='header'>{header}</div>
      <div
        role='rowgroup' class='body' ref={body} style={{ height: `${entries.length * rows.height}px` }}
        onKeyDown={press} onFocusIn={remember}
      >
        {shown.map(index => {
          const entry = entries[index]
          return entry !== undefined && (
            <div
              key={keyOf(entry)} role='row' class='row' data-index={index} aria-rowindex={index + 2}
              style={{ top: `${index * rows.height}px` }}
            >
              {cells(entry, index === activeIndex)}
            </div>
          )
        })}
      </div>
    </div>
  )
}

/** The index of the active row. If it is gone, that of the row which took its place. -1 if there are none. */
function useActiveIndex<Entry> (entries: readonly Entry[], keyOf: (entry: Entry) => string, { active }: GridFocus): number {
  const last = useRef(0)
  const key = active.value?.key
  const isAt = (entry: Entry | undefined) => entry !== undefined && keyOf(entry) === key
  // It is mostly where it was: a search of a long list at each scroll event would take too long.
  const found = key === undefined ? 0 : isAt(entries[last.current]) ? last.current : entries.findIndex(isAt)
  const index = Math.min(found === -1 ? last.current : found, entries.length - 1)
  last.current = Math.max(index, 0)
  return index
}

interface KeptFocus {
  body: { current: HTMLElement | null }
  /** A key has moved the focus to the active row. */
  isMoving: { current: boolean }
  activeIndex: number
  focus: GridFocus
  indexOf: (key: string) => number
}

/** Focuses a row when that is asked for, and the active one when the focused row was removed. */
function useKeptFocus ({ body, isMoving, activeIndex, focus, indexOf }: KeptFocus): void {
  const request = focus.request.value
  const hadFocus = body.current?.contains(document.activeElement) === true
  const focusRow = (index: number, position: GridPosition | undefined) => focusControl(rowAt(body.current, index), position?.column ?? 0)
  // Before the next key is pressed.
  useLayoutEffect(() => {
    if (isMoving.current || (hadFocus && document.activeElement === document.body)) focusRow(activeIndex, focus.active.value)
    isMoving.current = false
  })
  // In the commit that removes a dialog: it has returned the focus to what opened it, which may be another row.
  useLayoutEffect(() => {
    if (request === undefined) return
    const index = request.position === undefined ? -1 : indexOf(request.position.key)
    focus.request.value = undefined
    // Further away, the row is in the document only while it is the active one.
    if (index !== -1 && rowAt(body.current, index) === null) focus.focus(request.position)
    else focusRow(index === -1 ? activeIndex : index, request.position)
  }, [request])
  useLayoutEffect(() => {
    const element = body.current
    return () => { if (element?.contains(document.activeElement) === true) document.getElementById('main')?.focus() }
  }, [])
}

function focusControl (row: Element | null, column: number): void {
  const controls = row?.querySelectorAll<HTMLElement>('[data-cell]')
  controls?.[Math.min(column, controls.length - 1)]?.focus({ preventScroll: true })
  row?.scrollIntoView({ block: 'nearest' })
}

function rowAt (body: HTMLElement | null, index: number): Element | null {
  return body?.querySelector(`[data-index="${index}"]`) ?? null
}

/** A control of the grid: the row, and which of its controls it is. */
interface Place { readonly index: number, readonly column: number, readonly columns: number }

/** Undefined for what is no control of the grid, such as the input of a new name. */
function placeOf (target: EventTarget | null): Place | undefined {
  const control = target instanceof Element ? target.closest('[data-cell]') : null
  const row = control?.closest<HTMLElement>('[data-index]')
  if (control === null || !row) return undefined
  const controls = Array.from(row.querySelectorAll('[data-cell]'))
  return { index: Number(row.dataset.index), column: controls.indexOf(control), columns: controls.length }
}

interface Position extends Place { readonly count: number, readonly page: number }

function targetOf (key: string, { index, column, count, columns, page }: Position): { index: number, column: number } | undefined {
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
