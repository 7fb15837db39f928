import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { SelectBox } from './selection-box.tsx'
import type { Selection } from './selection.ts'
import { useGrid, type GridProps } from './use-grid.ts'

/** Rows above and below the view that are in the document as well. */
const AHEAD = 2

interface TileGridProps<Entry> extends GridProps<Entry> {
  selection: Selection<Entry>
  /** What is in a tile. The controls in it have `data-cell`, and `tabIndex` 0 if `isActive`. */
  tile: (entry: Entry, isActive: boolean) => ComponentChildren
}

/** A list of any length as an ARIA grid of tiles, of which only those near the view are in the document. */
export function TileGrid<Entry> (props: TileGridProps<Entry>) {
  const { label, listing, keyOf, nameOf, selection, tile, attributes } = props
  const body = useRef<HTMLDivElement>(null)
  const perRow = usePerRow(body)
  const { entries, activeIndex, rowCount, rowHeight, shownRows, listeners } =
    useGrid(props, { body, perRow, ahead: AHEAD })
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
      class='tiles' role='grid' aria-label={label} aria-multiselectable aria-busy={listing.isLoading.value}
      aria-rowcount={listing.isComplete.value ? rowCount : -1} aria-colcount={perRow}
    >
      <div role='rowgroup' class='body' ref={body} style={{ height: `${rowCount * rowHeight}px` }} {...listeners}>
        {shownRows.map(row => (
          <div key={row} role='row' class='tile-row' aria-rowindex={row + 1} style={{ top: `${row * rowHeight}px` }}>
            {entries.slice(row * perRow, (row + 1) * perRow)
              .map((entry, column) => tileAt(entry, row * perRow + column))}
          </div>
        ))}
      </div>
    </div>
  )
}

/** How many tiles are beside each other: as many as the style sheet makes columns. */
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
