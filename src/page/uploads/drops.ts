import { signal } from '@preact/signals'
import { listen } from '../listen.ts'
import { chosenFiles, droppedFiles, type Found } from './found-files.ts'
import { pastedName } from './names.ts'

type Take = (found: Promise<Found>) => void

/** Whether files are being dragged over the page. */
export const isDragging = signal(false)

/** Takes files that are dropped or pasted anywhere on the page, until the returned function is called. */
export function takeFiles (take: Take): () => void {
  return listen({
    dragenter: dragOver,
    dragover: dragOver,
    dragleave: dragLeave,
    drop: event => drop(event, take),
    paste: event => paste(event, take)
  })
}

function dragOver (event: DragEvent): void {
  // Dragged links and text are not for this page.
  if (event.dataTransfer?.types.includes('Files') !== true) return
  event.preventDefault()
  event.dataTransfer.dropEffect = 'copy'
  isDragging.value = true
}

function dragLeave (event: DragEvent): void {
  if (event.relatedTarget === null) isDragging.value = false
}

function drop (event: DragEvent, take: Take): void {
  isDragging.value = false
  if (event.dataTransfer?.types.includes('Files') !== true) return
  // Otherwise the browser would show the file in place of the page.
  event.preventDefault()
  take(droppedFiles(event.dataTransfer))
}

function paste (event: ClipboardEvent, take: Take): void {
  const files = Array.from(event.clipboardData?.files ?? [])
  if (files.length === 0 || isTextField(event.target)) return
  event.preventDefault()
  take(Promise.resolve(chosenFiles(files.map(named))))
}

function isTextField (target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, [contenteditable]') !== null
}

/** Browsers give a copied picture that is not a file this name, or none. */
function named (file: File): File {
  const isNameless = file.name === '' || file.name === 'image.png'
  return isNameless
    ? new File([file], pastedName(file.type, new Date()), { type: file.type, lastModified: file.lastModified })
    : file
}
