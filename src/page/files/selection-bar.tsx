import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import { focusMain, isFocusLost } from '../focus.ts'
import { formatSize } from '../format.ts'
import { Icon, type IconName } from '../icon.tsx'
import { IconButton } from '../icon-button.tsx'
import { texts } from '../texts.ts'
import type { GridFocus } from './grid-focus.ts'
import { running, type Running } from './many.ts'
import type { MenuItem } from './menu.tsx'
import { AllBox } from './selection-box.tsx'
import { useSelectionKeys } from './selection-keys.ts'
import type { Selection } from './selection.ts'

const words = texts.selection

export interface Act extends MenuItem { readonly icon: IconName }

/** A file; a folder has no size. */
interface Sized { readonly size?: number }

interface SelectionBarProps<Entry> {
  selection: Selection<Entry>
  /** Gets the focus when the bar disappears. */
  focus: GridFocus
  acts: readonly Act[]
}

/** What is chosen in a list, and what can be done with it; while an act runs, how far it is. */
export function SelectionBar<Entry extends Sized> ({ selection, focus, acts }: SelectionBarProps<Entry>) {
  const bar = useRef<HTMLDivElement>(null)
  const act = running.value
  const isShown = act !== undefined || !selection.isEmpty.value
  useSelectionKeys(selection)
  useEffect(() => () => selection.clear(), [])
  useKeptFocus(bar, focus, act !== undefined)
  return (
    <div class={isShown ? 'selection-bar' : 'hidden'} role='group' aria-label={words.label} ref={bar}>
      {act === undefined && isShown && <AllBox selection={selection} />}
      <p role='status'>{act !== undefined ? progressOf(act) : isShown && <Summary selection={selection} />}</p>
      {act !== undefined && <Progress act={act} />}
      {act === undefined && isShown && acts.map(({ label, icon, isDanger = false, action }) => (
        <button
          key={label} type='button' class={isDanger ? 'danger' : ''} aria-label={label} title={label}
          aria-disabled={selection.isGrowing.value} onClick={() => { if (!selection.isGrowing.peek()) action() }}
        >
          <Icon name={icon} /><span class='label'>{label}</span>
        </button>
      ))}
      {act === undefined && isShown &&
        <IconButton icon='close' label={words.end} title={words.end} onClick={() => selection.clear()} />}
    </div>
  )
}

function Progress ({ act: { act, done, all, stop } }: { act: Running }) {
  return (
    <>
      <progress max={all} value={done} aria-label={words.running[act]} />
      {stop !== undefined && <button type='button' onClick={stop}>{words.stop}</button>}
    </>
  )
}

function progressOf ({ act, done, all }: Running): string {
  return words.progress(words.running[act], done, all)
}

/** How many entries are chosen, and how large the files among them are. */
function Summary<Entry extends Sized> ({ selection: { entries, isGrowing } }: { selection: Selection<Entry> }) {
  if (isGrowing.value) return texts.loading
  const files = entries.value.filter(({ size }) => size !== undefined)
  const folders = entries.value.length - files.length
  const parts = [
    ...files.length === 0 ? [] : [formatSize(files.reduce((sum, { size = 0 }) => sum + size, 0))],
    ...folders === 0 ? [] : [texts.files.usage.folders(folders)]
  ]
  return <>{words.chosen(entries.value.length)}<span>: {parts.join(', ')}</span></>
}

/** The focus is not lost when the buttons make way for the progress, and goes to the list when the bar disappears. */
function useKeptFocus (bar: { readonly current: HTMLElement | null }, focus: GridFocus, isRunning: boolean): void {
  const hadFocus = bar.current?.contains(document.activeElement) === true
  useLayoutEffect(() => {
    if (!hadFocus || !isFocusLost()) return
    const button = isRunning ? bar.current?.querySelector('button') : null
    if (button != null) return button.focus()
    // The list may be empty by now.
    focusMain()
    focus.focus()
  })
}
