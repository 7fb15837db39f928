import { useEffect } from 'preact/hooks'
import { isBusy, listen } from '../listen.ts'
import type { Selection } from './selection.ts'

/** A key pressed at the control of a row. */
interface RowKey<Entry> {
  readonly event: KeyboardEvent
  readonly entry: Entry
  readonly selection: Selection<Entry>
}

/** Space on the name chooses the row. On other controls, Shift+Space does. */
export function chooseByKey<Entry> ({ event, entry, selection }: RowKey<Entry>): boolean {
  const isBox = event.target instanceof HTMLInputElement
  if (event.key !== ' ' || event.repeat || isBox || !(event.shiftKey || isName(event.target))) return false
  selection.toggle(entry)
  return true
}

/** Firefox clicks a button when Space is released. */
export function holdBackClick (event: KeyboardEvent): void {
  if (event.key === ' ' && isName(event.target)) event.preventDefault()
}

/** Ctrl+A chooses the whole list and Escape nothing, wherever the focus is, except in inputs, dialogs and menus. */
export function useSelectionKeys<Entry> (selection: Selection<Entry>): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey || event.shiftKey || isElsewhere(event.target)) return
      const hasCommand = event.ctrlKey || event.metaKey
      if (hasCommand && event.key.toLowerCase() === 'a') selection.chooseAll()
      else if (!hasCommand && event.key === 'Escape' && !selection.isEmpty.peek()) selection.clear()
      else return
      event.preventDefault()
    }
    return listen({ keydown: press })
  }, [])
}

function isName (target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('.file-name[data-cell], .opener[data-cell]') !== null
}

function isElsewhere (target: EventTarget | null): boolean {
  return isBusy(target) || (target instanceof Element && target.closest('.uploads') !== null)
}
