import type { JSX } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import { focusMain, isFocusLost } from '../focus.ts'
import type { GridFocus, GridPosition } from './grid-focus.ts'
import { cellsOf, listenersOf, type OpenMenu } from './grid-keys.ts'
import type { Listing } from './listing.ts'
import { usePointerSelection } from './selection-pointer.ts'
import type { Selection } from './selection.ts'
import { createTypeAhead } from './type-ahead.ts'
import { useVisibleRows, type VisibleRows } from './use-visible-rows.ts'

export interface GridProps<Entry> {
  label: string
  listing: Listing<Entry>
  keyOf: (entry: Entry) => string
  /** The path of an entry. Letters find its last segment. */
  nameOf: (entry: Entry) => string
  focus: GridFocus
  /** With it, entries can be chosen. */
  selection?: Selection<Entry>
  /** Keys besides those that move the focus. Returns whether the key was one of them. */
  onKey?: (key: string, entry: Entry) => boolean
  /** Opens the menu of an entry at the pointer. */
  onMenu?: OpenMenu<Entry>
  /** More attributes of the element of an entry. */
  attributes?: (entry: Entry) => JSX.HTMLAttributes<HTMLDivElement>
}

interface GridLayout {
  /** The element that holds the rows, and has the height of all. */
  body: { readonly current: HTMLElement | null }
  /** Entries beside each other in a row. */
  perRow: number
  /** Rows above and below the view that are in the document as well. */
  ahead: number
}

/**
 * What a list and a grid of tiles share: which rows are in the document, the active entry, the focus, the keys and the
 * selection.
 */
export function useGrid<Entry> (
  { listing, keyOf, nameOf, focus, selection, onKey, onMenu }: GridProps<Entry>, { body, perRow, ahead }: GridLayout
) {
  const entries = listing.entries.value
  const isMoving = useRef(false)
  const rowCount = Math.ceil(entries.length / perRow)
  const rows = useVisibleRows(body, rowCount, ahead)
  const activeIndex = useActiveIndex(entries, keyOf, focus)
  useRowFocus({ body, isMoving, activeIndex, focus, indexOf: key => entries.findIndex(entry => keyOf(entry) === key) })
  useEffect(() => listing.see(rows.end * perRow - 1), [rows.end, perRow, entries, listing.isLoading.value])
  const typeAhead = useMemo(createTypeAhead, [])
  const onMove = () => { isMoving.current = true }
  const listeners =
    listenersOf({ entries, keyOf, nameOf, focus, selection, typeAhead, page: rows.page, perRow, onKey, onMove, onMenu })
  const onEndKey = useEndKey({ listing, keyOf, focus, body })
  const pointerListeners = usePointerSelection(selection, index => entries[index])
  return {
    entries,
    activeIndex,
    rowCount,
    /** Pixels. */
    rowHeight: rows.height,
    /** The rows that are to be rendered. */
    shownRows: shownRows(rows, Math.floor(activeIndex / perRow)),
    listeners: {
      ...listeners,
      ...pointerListeners,
      onKeyDown (event: KeyboardEvent): void {
        listeners.onKeyDown(event)
        onEndKey(event)
      }
    }
  }
}

/** The rows near the view, and that of the active entry, so that scrolling never loses the focus. */
function shownRows ({ start, end }: VisibleRows, activeRow: number): number[] {
  const near = Array.from({ length: end - start }, (_, offset) => start + offset)
  return activeRow < 0 || near.includes(activeRow) ? near : [...near, activeRow]
}

/** The index of the active entry. If it is gone, the index of the entry in its place. -1 if the list is empty. */
function useActiveIndex<Entry> (
  entries: readonly Entry[], keyOf: (entry: Entry) => string, { active }: GridFocus
): number {
  const last = useRef(0)
  const key = active.value?.key
  const isAt = (entry: Entry | undefined) => entry !== undefined && keyOf(entry) === key
  // It is rarely elsewhere: to search a long list at each scroll event would take too long.
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
function useRowFocus ({ body, isMoving, activeIndex, focus, indexOf }: RowFocus): void {
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

interface EndKey<Entry> extends Pick<GridProps<Entry>, 'listing' | 'keyOf' | 'focus'> {
  body: { readonly current: HTMLElement | null }
}

/** End moves the focus to the last loaded entry, and once all are loaded, to the last one, if it is still there. */
function useEndKey<Entry> ({ listing, keyOf, focus, body }: EndKey<Entry>): (event: KeyboardEvent) => void {
  const lastLoaded = useRef<string>()
  const isComplete = listing.isComplete.value
  const { active } = focus
  useEffect(() => {
    const isWaiting = lastLoaded.current !== undefined && lastLoaded.current === active.peek()?.key
    const last = listing.entries.peek().at(-1)
    if (!isComplete) return
    lastLoaded.current = undefined
    if (!isWaiting || last === undefined || body.current?.contains(document.activeElement) !== true) return
    focus.focus({ key: keyOf(last), column: active.peek()?.column ?? 0 })
  }, [isComplete])
  return ({ key, defaultPrevented }) => {
    lastLoaded.current = undefined
    if (key !== 'End' || !defaultPrevented || listing.isComplete.peek()) return
    lastLoaded.current = active.peek()?.key
    listing.loadRest()
  }
}

function focusControl (row: Element | null, column: number, block: 'nearest' | 'start'): void {
  const { controls, first } = row === null ? { controls: [], first: 0 } : cellsOf(row)
  controls[Math.min(column - first, controls.length - 1)]?.focus({ preventScroll: true })
  row?.scrollIntoView({ block })
}

function rowAt (body: HTMLElement | null, index: number): Element | null {
  return body?.querySelector(`[data-index="${index}"]`) ?? null
}
