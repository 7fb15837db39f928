import { useLayoutEffect, useState } from 'preact/hooks'
import { listen } from '../listen.ts'

export interface VisibleRows {
  /** The rows to have in the document: from `start` to before `end`. */
  readonly start: number
  readonly end: number
  /** Pixels. All rows have the same height; it depends on the size of the text and of the window. */
  readonly height: number
  /** Rows that fit into the window. */
  readonly page: number
}

/** The range moves in steps of this many rows, so that most scroll events change nothing. */
const STEP = 5

/** An assumption until the first row is measured. */
const FIRST_HEIGHT_PX = 48

/**
 * Which rows of a list are near the view. `body` holds them and has the height of all. `ahead` is how many rows above
 * and below the view are in the document as well.
 */
export function useVisibleRows (
  body: { readonly current: HTMLElement | null }, count: number, ahead: number
): VisibleRows {
  const [rows, setRows] =
    useState<VisibleRows>({ start: 0, end: Math.min(count, 2 * ahead), height: FIRST_HEIGHT_PX, page: ahead })
  useLayoutEffect(() => {
    const measure = () => setRows(before => changed(before, measured(body.current, { count, ahead }, before.height)))
    measure()
    return listen({ scroll: measure, resize: measure })
  }, [count, rows.height])
  return { ...rows, end: Math.min(rows.end, count) }
}

function measured (
  body: HTMLElement | null, { count, ahead }: { count: number, ahead: number }, lastHeight: number
): VisibleRows {
  const height = body?.querySelector<HTMLElement>('[data-index]')?.offsetHeight ?? lastHeight
  const first = Math.floor(-(body?.getBoundingClientRect().top ?? 0) / height)
  const page = Math.max(1, Math.floor(innerHeight / height) - 1)
  const step = Math.min(STEP, ahead)
  const start = Math.max(0, Math.floor((first - ahead) / step) * step)
  const end = Math.max(start, Math.min(count, Math.ceil((first + page + 2 + ahead) / step) * step))
  return { start: Math.min(start, end), end, height, page }
}

/** The same object if nothing changed, so that nothing is rendered. */
function changed (before: VisibleRows, now: VisibleRows): VisibleRows {
  const isSame = before.start === now.start && before.end === now.end &&
    before.height === now.height && before.page === now.page
  return isSame ? before : now
}
