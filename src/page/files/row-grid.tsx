import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'
import { useGrid, type GridProps } from './use-grid.ts'

/** Rows above and below the view that are in the document as well. */
const AHEAD = 15

interface RowGridProps<Entry> extends GridProps<Entry> {
  class: string
  /** The row of column headers. */
  header: ComponentChildren
  /** The cells of a row. The controls in them have `data-cell`, and `tabIndex` 0 if `isActive`. */
  cells: (entry: Entry, isActive: boolean) => ComponentChildren
}

/**
 * A list of any length as an ARIA grid. Only the rows near the view and the active one are in the document. The page
 * scrolls, not the grid: with large text, a scrolling box would have no room in a small window.
 */
export function RowGrid<Entry> (props: RowGridProps<Entry>) {
  const { label, class: className, listing, keyOf, selection, header, cells, attributes } = props
  const body = useRef<HTMLDivElement>(null)
  const { entries, activeIndex, rowCount, rowHeight, shownRows, listeners } =
    useGrid(props, { body, perRow: 1, ahead: AHEAD })
  return (
    <div
      class={`grid ${className} ${selection === undefined ? '' : 'selectable'}`} role='grid' aria-label={label}
      aria-multiselectable={selection && true} aria-busy={listing.isLoading.value}
      // ARIA: -1 if it is not known. The header counts as a row.
      aria-rowcount={listing.isComplete.value ? rowCount + 1 : -1}
    >
      <div role='rowgroup' class='header'>{header}</div>
      <div role='rowgroup' class='body' ref={body} style={{ height: `${rowCount * rowHeight}px` }} {...listeners}>
        {shownRows.map(index => {
          const entry = entries[index]
          return entry !== undefined && (
            <div
              key={keyOf(entry)} role='row' class='row' data-index={index} aria-rowindex={index + 2}
              aria-selected={selection?.has(entry)} style={{ top: `${index * rowHeight}px` }} {...attributes?.(entry)}
            >
              {cells(entry, index === activeIndex)}
            </div>
          )
        })}
      </div>
    </div>
  )
}
