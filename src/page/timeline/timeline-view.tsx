import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Breadcrumbs, FolderName } from '../files/breadcrumbs.tsx'
import { detailed, hideDetails } from '../files/detailed.ts'
import { DetailsDialog } from '../files/details-panel.tsx'
import { filesBeside, refused, type Entry } from '../files/entries.ts'
import { notifyProblem } from '../files/files.ts'
import { rename } from '../files/folders.ts'
import { LayoutChoice } from '../files/layout-choice.tsx'
import { EmptyList } from '../files/list-state.tsx'
import type { Point } from '../files/menu.tsx'
import type { EntryActs, Open, OpenedMenu, Part } from '../files/opened.ts'
import { useFresh } from '../files/use-fresh.ts'
import { texts } from '../later-texts.ts'
import { refreshLinks } from '../links/links.ts'
import { NameDialog } from '../name-dialog.tsx'
import { lastOf } from '../paths.ts'
import { Retry } from '../problem.tsx'
import { openFolder } from '../view.ts'
import { blockAt, layOut, rowOf } from './layout.ts'
import { MonthRail, MonthSelect } from './month-choice.tsx'
import { focusShot, TimelineGrid } from './timeline-grid.tsx'
import { Timeline } from './timeline.ts'
import { STEP_PX, useView } from './use-view.ts'

/** Pixels. */
const SHOT_WIDTH = 150

/** Also on the narrowest phones. */
const LEAST_PER_ROW = 3

/** In heights of the letters of the page. */
const HEAD_HEIGHT = 3

/** Pictures and videos of the open folder and all below it, by when they were taken. */
export function TimelineView ({ EntryDialog, EntryMenu, pressKey }: EntryActs) {
  const timeline = useMemo(() => new Timeline(openFolder.peek()), [])
  const body = useRef<HTMLDivElement>(null)
  const [active, setActive] = useState(0)
  const [opened, setOpened] = useState<{ readonly kind: Part, readonly entry: Entry }>()
  const [menu, setMenu] = useState<OpenedMenu>()
  const months = timeline.months.value ?? []
  useFresh(() => {
    timeline.refresh()
    refreshLinks()
  })
  useEffect(() => () => timeline.end(), [])
  useEffect(() => hideDetails, [])
  useRefusals()
  const { layout, shown, current } = useLayout(body, timeline)
  useBeside(timeline, active, opened !== undefined)
  useReturn(() => focusShot(body.current, active), opened !== undefined)
  const scrollTo = (top: number) => {
    const start = (body.current?.getBoundingClientRect().top ?? 0) + scrollY
    window.scrollTo({ top: start + top - barHeight() })
  }
  const choose = (month: string) => {
    const block = layout.blocks.find(block => block.month === month)
    if (block === undefined) return
    setActive(block.first)
    scrollTo(block.top)
  }
  const open: Open = (kind, entry) => {
    const [index = active] = Array.from(timeline.files.peek()).find(([, { id }]) => id === entry.id) ?? []
    const row = rowOf(layout, index)
    // What the preview goes to is in view behind it, so that its neighbours are read too.
    if (index !== active && row !== undefined) scrollTo(row.top - layout.headHeight)
    setActive(index)
    setOpened({ kind, entry })
  }
  const openAt = (index: number) => {
    const file = timeline.files.peek().get(index)
    if (file !== undefined) open('preview', file)
  }
  const openMenu = (index: number, opener: HTMLElement, at: Point) => {
    const entry = timeline.files.peek().get(index)
    setActive(index)
    if (entry !== undefined) setMenu({ entry, opener, at })
  }
  const press = (key: string) => {
    const file = timeline.files.peek().get(active)
    return file !== undefined && pressKey(key, file, open)
  }
  const choice = { months, current, onChoose: choose }
  const error = timeline.error.value
  const close = () => setOpened(undefined)
  return (
    <>
      <div class='toolbar'>
        <Breadcrumbs />
        <h2 dir='auto'><FolderName path={openFolder.value} /></h2>
        {months.length > 0 && <MonthSelect {...choice} />}
        <LayoutChoice />
      </div>
      {error !== undefined && <div class='list-state'><Retry error={error} action={timeline.refresh} /></div>}
      {timeline.months.value === undefined && error === undefined &&
        <p class='list-state muted' role='status'>{texts.loading}</p>}
      {timeline.months.value?.length === 0 && <EmptyList {...texts.timeline.nothing} />}
      <div class='timeline' hidden={months.length === 0}>
        <TimelineGrid
          label={texts.files.layouts.timeline} timeline={timeline} layout={layout} shown={shown} body={body}
          active={active} onActive={setActive} onOpen={openAt} onMenu={openMenu} onKey={press}
        />
        <MonthRail {...choice} />
      </div>
      {menu !== undefined && (
        <EntryMenu
          key={`${menu.entry.id} ${JSON.stringify(menu.at)}`} {...menu} open={open} onClose={() => setMenu(undefined)}
        />
      )}
      {opened?.kind === 'renaming' && <Renaming entry={opened.entry} onClose={close} />}
      {opened !== undefined && <EntryDialog {...opened} open={open} onClose={close} />}
      {detailed.value !== undefined && <DetailsDialog entry={detailed.value} />}
    </>
  )
}

/** A tile has no room for the form that the list has. */
function Renaming ({ entry, onClose }: { entry: Entry, onClose: () => void }) {
  const name = lastOf(entry.name)
  const action = async (newName: string) => { await rename(entry, newName) }
  return (
    <NameDialog
      title={texts.files.rename} label={texts.files.newName(name)} name={name} submit={texts.files.save} action={action}
      onClose={onClose}
    />
  )
}

/** Says why an act on a file failed: its row would, in a list. */
function useRefusals (): void {
  useEffect(() => {
    if (refused.value !== undefined) notifyProblem(refused.value.error)
    refused.value = undefined
  }, [refused.value])
}

/** Where the months are for the width that there is, and which of them is in view. */
function useLayout (body: { readonly current: HTMLDivElement | null }, timeline: Timeline) {
  const months = timeline.months.value ?? []
  const [height, setHeight] = useState(0)
  const shown = useView(body, height)
  const layout = useMemo(() => {
    const perRow = Math.max(LEAST_PER_ROW, Math.floor(shown.width / SHOT_WIDTH))
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
    return layOut(months, { perRow, rowHeight: Math.max(1, shown.width / perRow), headHeight: HEAD_HEIGHT * rem })
  }, [months, shown.width])
  useEffect(() => setHeight(layout.height), [layout.height])
  return { layout, shown, current: blockAt(layout, shown.top + STEP_PX + barHeight())?.month }
}

/** The preview goes through the files that are read, without a gap. */
function useBeside (timeline: Timeline, active: number, isOpen: boolean): void {
  const files = timeline.files.value
  useEffect(() => {
    if (!isOpen) return
    let [first, end] = [active, active]
    while (files.has(first - 1)) first--
    while (files.has(end)) end++
    const run = Array.from({ length: end - first }, (_, offset) => files.get(first + offset))
    filesBeside.value = run.filter(file => file !== undefined)
  }, [files, active, isOpen])
  useEffect(() => () => { filesBeside.value = undefined }, [isOpen])
}

/** Moves the focus when a dialog has closed, which has returned it to where it was opened. */
function useReturn (focus: () => void, isOpen: boolean): void {
  const wasOpen = useRef(false)
  useLayoutEffect(() => {
    if (wasOpen.current && !isOpen) focus()
    wasOpen.current = isOpen
  }, [isOpen])
}

/** What covers the top of the page. */
function barHeight (): number {
  return document.querySelector<HTMLElement>('.top-bar')?.offsetHeight ?? 0
}
