import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import { focusMain, isFocusLost } from '../focus.ts'
import type { GridFocus, GridPosition } from './grid-focus.ts'
import { cellsOf, listenersOf } from './grid-keys.ts'
import type { Listing } from './listing.ts'
import { SelectionBox } from './selection-box.tsx'
import { usePointerSelection } from './selection-pointer.ts'
import type { Selection } from './selection.ts'
import { createTypeAhead } from './type-ahead.ts'
import { useVisibleRows, type VisibleRows } from './use-visible-rows.ts'

interface RowGridProps<Entry> {
  label: string
  class: string
  listing: Listing<Entry>
  keyOf: (entry: Entry) => string
  /** The path of an entry. Letters find its last segment. */
  nameOf: (entry: Entry) => string
  focus: GridFocus
  /** With it, rows can be chosen. */
  selection?: Selection<Entry>
  /** The row of column headers. */
  header: ComponentChildren
  /** The cells of a row. The controls in them have `data-cell`, and `tabIndex` 0 if `isActive`. */
  cells: (entry: Entry, isActive: boolean) => ComponentChildren
  /** Keys besides those that move the focus. Returns whether the key was one of them. */
  onKey?: (key: string, entry: Entry) => boolean
  /** More attributes of a row. */
  attributes?: (entry: Entry) => JSX.HTMLAttributes<HTMLDivElement>
}

/**
 * A list of any length as an ARIA grid. Only the rows near the view are in the document, and the active one, so that
 * scrolling never loses the focus. The page scrolls, not the grid: with large text, a small window would leave a
 * scrolling box no room.
 */
export function RowGrid<Entry> ({
  label, class: className, listing, keyOf, nameOf, focus, selection, header, cells, onKey, attributes
}: RowGridProps<Entry>) {
  const body = useRef<HTMLDivElement>(null)
  const entries = listing.entries.value
  const isMoving = useRef(false)
  const rows = useVisibleRows(body, entries.length)
  const activeIndex = useActiveIndex(entries, keyOf, focus)
  useRowFocus({ body, isMoving, activeIndex, focus, indexOf: key => entries.findIndex(entry => keyOf(entry) === key) })
  useEffect(() => listing.see(rows.end - 1), [rows.end, entries, listing.isLoading.value])
  const typeAhead = useMemo(createTypeAhead, [])
  const onMove = () => { isMoving.current = true }
  const listeners = listenersOf({ entries, keyOf, nameOf, focus, selection, typeAhead, page: rows.page, onKey, onMove })
  const pointerListeners = usePointerSelection(selection, index => entries[index])
  // ARIA: -1 if it is not known. The header counts as a row.
  const rowCount = listing.isComplete.value ? entries.length + 1 : -1
  return (
    <div
      class={`grid ${className} ${selection === undefined ? '' : 'selectable'}`} role='grid' aria-label={label}
      aria-multiselectable={selection && true} aria-rowcount={rowCount} aria-busy={listing.isLoading.value}
    >
      <div role='rowgroup' class='header'>{header}</div>
      <div
        role='rowgroup' class='body' ref={body} style={{ height: `${entries.length * rows.height}px` }}
        {...listeners} {...pointerListeners}
      >
        {indexesOf(rows, activeIndex).map(index => {
          const entry = entries[index]
          return entry !== undefined && (
            <div
              key={keyOf(entry)} role='row' class='row' data-index={index} aria-rowindex={index + 2}
              aria-selected={selection?.has(entry)} style={{ top: `${index * rows.height}px` }} {...attributes?.(entry)}
            >
              {selection && (
                <SelectionBox
                  selection={selection} entry={entry} name={nameOf(entry)} isActive={index === activeIndex}
                />
              )}
              {cells(entry, index === activeIndex)}
            </div>
          )
        })}
      </div>
    </div>
  )
}

/** The indexes of the rows that are rendered. */
function indexesOf ({ start, end }: VisibleRows, activeIndex: number): number[] {
  const near = Array.from({ length: end - start }, (_, offset) => start + offset)
  return activeIndex < 0 || near.includes(activeIndex) ? near : [...near, activeIndex]
}

/** The index of the active row. If it is gone, the index of the row in its place. -1 if there are no rows. */
export function useActiveIndex<Entry> (
  entries: readonly Entry[], keyOf: (entry: Entry) => string, { active }: GridFocus
): number {
  const last = useRef(0)
  const key = active.value?.key
  const isAt = (entry: Entry | undefined) => entry !== undefined && keyOf(entry) === key
  // It has rarely moved: a search of a long list at each scroll event would take too long.
  const found = key === undefined ? 0 : isAt(entries[last.current]) ? last.current : entries.findIndex(isAt)
  const index = Math.min(found === -1 ? last.current : found, entries.length - 1)
  last.current = Math.max(index, 0)
  return index
}

interface RowFocus {
  body: { current: HTMLElement | null }
  /** A key has moved the focus to the active row. */
  isMoving: { current: boolean }
  activeIndex: number
  focus: GridFocus
  indexOf: (key: string) => number
}

/** Moves the focus to the requested row, or to the active one after a key press or the removal of the focused row. */
export function useRowFocus ({ body, isMoving, activeIndex, focus, indexOf }: RowFocus): void {
  const request = focus.request.value
  const hadFocus = body.current?.contains(document.activeElement) === true
  const focusRow = (index: number, position: GridPosition | undefined, block: 'nearest' | 'start' = 'nearest') =>
    focusControl(rowAt(body.current, index), position?.column ?? 0, block)
  // A layout effect, so that the focus has moved before the next key is pressed.
  useLayoutEffect(() => {
    if (isMoving.current || (hadFocus && isFocusLost())) focusRow(activeIndex, focus.active.value)
    isMoving.current = false
  })
  // A dialog that closes in the same commit has returned the focus to its opener, which may be in another row.
  useLayoutEffect(() => {
    if (request === undefined) return
    const index = request.position === undefined ? -1 : indexOf(request.position.key)
    focus.request.value = undefined
    // A row that is not near the view is rendered only while it is the active one.
    if (index !== -1 && rowAt(body.current, index) === null) focus.focus(request.position, request.block)
    else focusRow(index === -1 ? activeIndex : index, request.position, request.block)
  }, [request])
  useLayoutEffect(() => {
    const element = body.current
    return () => { if (element?.contains(document.activeElement) === true) focusMain() }
  }, [])
}

function focusControl (row: Element | null, column: number, block: 'nearest' | 'start'): void {
  const { controls, first } = row === null ? { controls: [], first: 0 } : cellsOf(row)
  controls[Math.min(column - first, controls.length - 1)]?.focus({ preventScroll: true })
  row?.scrollIntoView({ block })
}

function rowAt (body: HTMLElement | null, index: number): Element | null {
  return body?.querySelector(`[data-index="${index}"]`) ?? null
}
