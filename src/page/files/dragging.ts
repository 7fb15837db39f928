import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { listen } from '../listen.ts'
import { lastOf } from '../paths.ts'
import { chosenEntries } from './chosen.ts'
import { isFolder, runInRow, type Entry } from './entries.ts'
import { canMove, moveEntry } from './folders.ts'
import { moveAll } from './many-files.ts'

/** The entries of this window that are being dragged. Nothing else can be dropped on a folder. */
let dragged: readonly Entry[] = []

/** The folder that the dragged entries are over. */
const target = signal<string | undefined>(undefined)

/** The attributes of a row that can be dragged, and that takes others if it is a folder. */
export function draggable (entry: Entry): JSX.HTMLAttributes<HTMLDivElement> {
  return {
    draggable: true,
    onDragStart ({ dataTransfer }) {
      dragged = chosenEntries.has(entry) ? chosenEntries.entries.peek() : [entry]
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
  useEffect(() => listen({ dragover: dragOver, drop }), [])
}

function dragOver (event: DragEvent): void {
  target.value = folderAt(event)
  if (target.value === undefined || event.dataTransfer === null) return
  event.preventDefault()
  event.dataTransfer.dropEffect = 'move'
}

function drop (event: DragEvent): void {
  const folder = folderAt(event)
  const [entry, ...others] = dragged
  end()
  if (folder === undefined || entry === undefined) return
  // Otherwise Firefox would open what is dropped.
  event.preventDefault()
  if (others.length > 0) void moveAll([entry, ...others], folder)
  else void runInRow(entry, entry => moveEntry(entry, folder))
}

function end (): void {
  dragged = []
  target.value = undefined
}

/** The folder at the pointer, if the dragged entries can be moved there. */
function folderAt (event: DragEvent): string | undefined {
  const element = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-folder]') : null
  const folder = element?.dataset.folder
  if (folder === undefined || dragged.length === 0) return undefined
  return dragged.some(entry => canMove(entry, folder)) ? folder : undefined
}
