import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { GridFocus } from './grid-focus.ts'
import { listenersOf } from './grid-keys.ts'
import type { Listing } from './listing.ts'
import { useActiveIndex, useRowFocus } from './row-grid.tsx'
import { SelectBox } from './selection-box.tsx'
import { usePointerSelection } from './selection-pointer.ts'
import type { Selection } from './selection.ts'
import { createTypeAhead } from './type-ahead.ts'
import { useVisibleRows } from './use-visible-rows.ts'

/** Rows of tiles above and below the view that are in the document as well. */
const AHEAD = 2

interface TileGridProps<Entry> {
  label: string
  listing: Listing<Entry>
  keyOf: (entry: Entry) => string
  /** The path of an entry. Letters find its last segment. */
  nameOf: (entry: Entry) => string
  focus: GridFocus
  selection: Selection<Entry>
  /** What is in a tile. The controls in it have `data-cell`, and `tabIndex` 0 if `isActive`. */
  tile: (entry: Entry, isActive: boolean) => ComponentChildren
  /** Keys besides those that move the focus. Returns whether the key was one of them. */
  onKey?: (key: string, entry: Entry) => boolean
  /** More attributes of a tile. */
  attributes?: (entry: Entry) => JSX.HTMLAttributes<HTMLDivElement>
}

/** A list of any length as an ARIA grid of tiles, of which only those near the view are in the document. */
export function TileGrid<Entry> ({
  label, listing, keyOf, nameOf, focus, selection, tile, onKey, attributes
}: TileGridProps<Entry>) {
  const body = useRef<HTMLDivElement>(null)
  const entries = listing.entries.value
  const isMoving = useRef(false)
  const perRow = usePerRow(body)
  const rowCount = Math.ceil(entries.length / perRow)
  const rows = useVisibleRows(body, rowCount, AHEAD)
  const activeIndex = useActiveIndex(entries, keyOf, focus)
  useRowFocus({ body, isMoving, activeIndex, focus, indexOf: key => entries.findIndex(entry => keyOf(entry) === key) })
  useEffect(() => listing.see(rows.end * perRow - 1), [rows.end, perRow, entries, listing.isLoading.value])
  const typeAhead = useMemo(createTypeAhead, [])
  const onMove = () => { isMoving.current = true }
  const listeners =
    listenersOf({ entries, keyOf, nameOf, focus, selection, typeAhead, page: rows.page, perRow, onKey, onMove })
  const pointerListeners = usePointerSelection(selection, index => entries[index])
  const tileAt = (entry: Entry, index: number) => (
    <div
      key={keyOf(entry)} role='gridcell' class='tile' data-index={index} aria-colindex={index % perRow + 1}
      aria-selected={selection.has(entry)} {...attributes?.(entry)}
    >
      <div class='select-cell'>
        <SelectBox selection={selection} entry={entry} name={nameOf(entry)} isActive={index === activeIndex} />
      </div>
      {tile(entry, index === activeIndex)}
    </div>
  )
  return (
    <div
      class='tiles' role='grid' aria-label={label} aria-multiselectable aria-rowcount={listing.isComplete.value ? rowCount : -1}
      aria-colcount={perRow} aria-busy={listing.isLoading.value}
    >
      <div
        role='rowgroup' class='body' ref={body} style={{ height: `${rowCount * rows.height}px` }}
        {...listeners} {...pointerListeners}
      >
        {rowsNear(rows, Math.floor(activeIndex / perRow)).map(row => (
          <div key={row} role='row' class='tile-row' aria-rowindex={row + 1} style={{ top: `${row * rows.height}px` }}>
            {entries.slice(row * perRow, (row + 1) * perRow)
              .map((entry, column) => tileAt(entry, row * perRow + column))}
          </div>
        ))}
      </div>
    </div>
  )
}

/** The rows that are rendered: those near the view, and that of the active tile. */
function rowsNear ({ start, end }: { start: number, end: number }, activeRow: number): number[] {
  const near = Array.from({ length: end - start }, (_, offset) => start + offset)
  return activeRow < 0 || near.includes(activeRow) ? near : [...near, activeRow]
}

/** How many tiles fit beside each other: the style sheet says, in the columns of `body`. */
function usePerRow (body: { readonly current: HTMLElement | null }): number {
  const [perRow, setPerRow] = useState(2)
  useLayoutEffect(() => {
    const element = body.current
    if (element === null) return
    const measure = () => setPerRow(getComputedStyle(element).gridTemplateColumns.split(' ').length)
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return perRow
}
