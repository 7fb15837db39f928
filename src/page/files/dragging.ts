import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { lastOf } from '../paths.ts'
import { isFolder, runInRow, type Entry } from './entries.ts'
import { canMove, moveEntry } from './folders.ts'

/** The entry that is being dragged. Other windows and programs can't drop here. */
let dragged: Entry | undefined

/** The folder that the dragged entry is over. */
const target = signal<string | undefined>(undefined)

/** The attributes of a row that can be dragged, and that takes others if it is a folder. */
export function draggable (entry: Entry): JSX.HTMLAttributes<HTMLDivElement> {
  return {
    draggable: true,
    onDragStart ({ dataTransfer }) {
      dragged = entry
      // Firefox starts no drag without data.
      dataTransfer?.setData('text/plain', lastOf(entry.name))
    },
    onDragEnd: end,
    ...isFolder(entry) && dropTarget(entry.name)
  }
}

/** The attributes of an element on which entries can be dropped to move them to a folder. */
export function dropTarget (folder: string): { 'data-folder': string, 'data-target': boolean } {
  return { 'data-folder': folder, 'data-target': target.value === folder }
}

/** Moves entries that are dropped on a folder. */
export function useDragging (): void {
  useEffect(() => {
    const ended = new AbortController()
    addEventListener('dragover', dragOver, { signal: ended.signal })
    addEventListener('drop', drop, { signal: ended.signal })
    return () => ended.abort()
  }, [])
}

function dragOver (event: DragEvent): void {
  target.value = folderAt(event)
  if (target.value === undefined || event.dataTransfer === null) return
  event.preventDefault()
  event.dataTransfer.dropEffect = 'move'
}

function drop (event: DragEvent): void {
  const folder = folderAt(event)
  const entry = dragged
  end()
  if (folder === undefined || entry === undefined) return
  // Otherwise Firefox would open what is dropped.
  event.preventDefault()
  void runInRow(entry, entry => moveEntry(entry, folder))
}

function end (): void {
  dragged = undefined
  target.value = undefined
}

/** The folder at the pointer, if the dragged entry can be moved there. */
function folderAt (event: DragEvent): string | undefined {
  const element = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-folder]') : null
  const folder = element?.dataset.folder
  return folder !== undefined && dragged !== undefined && canMove(dragged, folder) ? folder : undefined
}
