import { texts } from '../texts.ts'
import type { Selection } from './selection.ts'

interface SelectionBoxProps<Entry> {
  selection: Selection<Entry>
  entry: Entry
  name: string
  isActive: boolean
}

/** The first cell of a row that can be chosen. */
export function SelectionBox<Entry> (props: SelectionBoxProps<Entry>) {
  return <div role='gridcell' class='select-cell'><SelectBox {...props} /></div>
}

/** Whether an entry is chosen. A click with Shift chooses a range. */
export function SelectBox<Entry> ({ selection, entry, name, isActive }: SelectionBoxProps<Entry>) {
  const click = (event: MouseEvent) => {
    if (event.shiftKey) selection.extend(entry)
    else selection.toggle(entry)
  }
  return (
    <label>
      <input
        type='checkbox' data-cell tabIndex={isActive ? 0 : -1} aria-label={texts.selection.of(name)}
        checked={selection.has(entry)} onClick={click}
      />
    </label>
  )
}

/** The box that chooses the whole list, or nothing. */
export function AllBox<Entry> ({ selection }: { selection: Selection<Entry> }) {
  const click = () => {
    if (selection.isAll.peek()) selection.clear()
    else selection.chooseAll()
  }
  return (
    <label>
      <input
        type='checkbox' aria-label={texts.selection.all} checked={selection.isAll.value}
        indeterminate={!selection.isEmpty.value && !selection.isAll.value} onClick={click}
      />
    </label>
  )
}

/** The column header above the boxes. */
export function SelectionHeader<Entry> ({ selection }: { selection: Selection<Entry> }) {
  return <div role='columnheader' class='select-cell'><AllBox selection={selection} /></div>
}
