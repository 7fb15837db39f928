import type { StoredFile } from 'magicstore'
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import { NEXT_KEY, PREVIOUS_KEY } from '../direction.ts'
import { Marks, marksOf } from '../files/entry-cells.tsx'
import { LongPress } from '../files/long-press.ts'
import type { Point } from '../files/menu.tsx'
import { Thumbnail } from '../files/thumbnail.tsx'
import { focusMain, isFocusLost } from '../focus.ts'
import { formatDate } from '../format.ts'
import { Icon } from '../icon.tsx'
import { texts } from '../later-texts.ts'
import { lastOf } from '../paths.ts'
import { TilePicture } from '../pictures/tile-picture.tsx'
import { visibleName } from '../visible-name.ts'
import { rowOf, rowsBetween, targetOf, type Layout, type Row, type Step } from './layout.ts'
import { monthName } from './month-choice.tsx'
import type { Timeline } from './timeline.ts'
import type { Shown } from './use-view.ts'

interface TimelineGridProps {
  label: string
  timeline: Timeline
  layout: Layout
  shown: Shown
  body: { readonly current: HTMLDivElement | null }
  /** The index of the file that has the focus, or gets it. */
  active: number
  onActive: (index: number) => void
  onOpen: (index: number) => void
  /** Opens the menu of a file at the pointer. `opener` gets the focus back. */
  onMenu: (index: number, opener: HTMLElement, at: Point) => void
  /** Keys besides those that move the focus. Returns whether the key was used. */
  onKey: (key: string) => boolean
}

/** Pictures and videos below the headings of their months, as an ARIA grid. Only what is near the view is in it. */
export function TimelineGrid (props: TimelineGridProps) {
  const { label, timeline, layout, shown, body, active, onActive, onOpen, onMenu } = props
  const rows = rowsBetween(layout, shown.from, shown.to)
  const activeRow = rowOf(layout, active)
  const isFar = activeRow !== undefined && !rows.some(({ number }) => number === activeRow.number)
  const files = timeline.files.value
  useEffect(() => {
    const [first = 0, end = 0] = [rows[0]?.first, rows.at(-1)?.end]
    timeline.see({ first, end })
  }, [rows[0]?.first, rows.at(-1)?.end, timeline.months.value])
  const move = useKeys(props)
  return (
    <div role='grid' aria-label={label} aria-rowcount={layout.rows} aria-colcount={layout.perRow}>
      <div
        role='rowgroup' class='body' ref={body} style={{ height: `${layout.height}px` }} onKeyDown={move}
        {...useTouch(onMenu)}
        onFocusIn={({ target }) => { if (indexOf(target) !== undefined) onActive(Number(indexOf(target))) }}
      >
        {(isFar ? [...rows, activeRow] : rows).map(row => (
          <div
            key={row.number} role='row' aria-rowindex={row.number + 1} class={row.end === row.first ? 'head' : 'shots'}
            style={placeOf(row, layout)}
          >
            {row.end === row.first
              ? <div role='rowheader' aria-colspan={layout.perRow}><h3>{monthName(row.block.month)}</h3></div>
              : indexesOf(row).map((index, column) => (
                <div key={index} role='gridcell' aria-colindex={column + 1}>
                  <Shot
                    file={files.get(index)} index={index} isActive={index === active} onOpen={() => onOpen(index)}
                  />
                </div>
              ))}
          </div>
        ))}
      </div>
    </div>
  )
}

const indexesOf = ({ first, end }: Row) => Array.from({ length: end - first }, (_, offset) => first + offset)

function placeOf ({ top, end, first }: Row, { rowHeight, headHeight, perRow }: Layout) {
  const height = end === first ? headHeight : rowHeight
  return { top: `${top}px`, height: `${height}px`, gridTemplateColumns: `repeat(${perRow}, minmax(0, 1fr))` }
}

interface ShotProps { file: StoredFile | undefined, index: number, isActive: boolean, onOpen: () => void }

/** A picture or a video. Until it is read, an empty place that can have the focus. */
function Shot ({ file, index, isActive, onOpen }: ShotProps) {
  const control = { 'data-index': index, tabIndex: isActive ? 0 : -1 }
  if (file === undefined) {
    return <button type='button' class='shot' aria-label={texts.loading} aria-disabled {...control} />
  }
  const { name, sha256, type, takenAt, changedAt } = file
  const marks = marksOf(file).map(([, label]) => label)
  const label = [visibleName(lastOf(name)), formatDate(takenAt ?? changedAt), ...marks].join(', ')
  return (
    <button type='button' class='shot' aria-label={label} {...control} onClick={onOpen}>
      <Thumbnail key={sha256} file={file} Picture={TilePicture} />
      {type.startsWith('video/') && <span class='video'><Icon name='resume' /></span>}
      <span class='marks'><Marks {...file} /></span>
    </button>
  )
}

/**
 * The menu by the right button, the menu key, Shift+F10 and a long press. The browsers of iOS tell a page of no
 * `contextmenu` then, so that the page measures the touch itself.
 */
function useTouch (onMenu: TimelineGridProps['onMenu']) {
  const press = useMemo(() => new LongPress(), [])
  const isLong = useRef(false)
  return {
    onPointerDown (event: PointerEvent): void {
      press.end()
      isLong.current = false
      if (event.pointerType !== 'touch' || !event.isPrimary) return
      press.begin(event, () => {
        isLong.current = true
        showMenu(event, onMenu)
      })
    },
    onPointerMove: press.move,
    onPointerUp: press.end,
    onPointerCancel: press.end,
    onContextMenu (event: MouseEvent): void {
      press.end()
      showMenu(event, onMenu)
    },
    onClickCapture (event: MouseEvent): void {
      // The click of the long press would open the picture. The `detail` of a click by a key is 0.
      if (isLong.current && event.detail !== 0) event.stopPropagation()
    }
  }
}

function showMenu (event: MouseEvent, onMenu: TimelineGridProps['onMenu']): void {
  const index = indexOf(event.target)
  const shot = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-index]') : null
  if (index === undefined || shot === null) return
  event.preventDefault()
  onMenu(index, shot, { x: event.clientX, y: event.clientY })
}

type Keys = Pick<TimelineGridProps, 'layout' | 'shown' | 'body' | 'active' | 'onActive' | 'onKey'>

/** Keys move the focus, and the view with it. */
function useKeys ({ layout, shown, body, active, onActive, onKey }: Keys): (event: KeyboardEvent) => void {
  const isMoving = useRef(false)
  const hadFocus = body.current?.contains(document.activeElement) === true
  // A layout effect, so that the focus has moved before the next key is pressed.
  useLayoutEffect(() => {
    if (isMoving.current || (hadFocus && isFocusLost())) focusShot(body.current, active)
    isMoving.current = false
  })
  useLayoutEffect(() => {
    const element = body.current
    return () => { if (element?.contains(document.activeElement) === true) focusMain() }
  }, [])
  return event => {
    if (event.ctrlKey || event.metaKey || event.altKey || indexOf(event.target) === undefined) return
    const step = stepOf(event.key, layout, shown)
    // A key that is held down must not act on each file that follows.
    const isUsed = step !== undefined || (!event.repeat && onKey(event.key))
    if (isUsed) event.preventDefault()
    if (step === undefined) return
    isMoving.current = true
    onActive(targetOf(layout, active, step))
  }
}

function stepOf (key: string, { rowHeight }: Layout, { page }: Shown): Step | undefined {
  const rows = Math.max(1, Math.floor(page / rowHeight) - 1)
  switch (key) {
    case NEXT_KEY: return { by: 1 }
    case PREVIOUS_KEY: return { by: -1 }
    case 'ArrowDown': return { rows: 1 }
    case 'ArrowUp': return { rows: -1 }
    case 'PageDown': return { rows }
    case 'PageUp': return { rows: -rows }
    case 'Home': return { by: -Infinity }
    case 'End': return { by: Infinity }
    default: return undefined
  }
}

/** Focuses a file that is in the document, and brings it into view. */
export function focusShot (body: HTMLElement | null, index: number): void {
  const shot = body?.querySelector<HTMLElement>(`[data-index="${index}"]`)
  shot?.focus({ preventScroll: true })
  shot?.scrollIntoView({ block: 'nearest' })
}

function indexOf (target: EventTarget | null): number | undefined {
  const shot = target instanceof Element ? target.closest<HTMLElement>('[data-index]') : null
  return shot === null ? undefined : Number(shot.dataset.index)
}
