import { signal } from '@preact/signals'
import { filesChanged } from '../files/changes.ts'
import { notifyProblem } from '../files/files.ts'
import { formatNumber } from '../format.ts'
import { notify } from '../notices.tsx'
import { joined } from '../paths.ts'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { openFolder } from '../view.ts'
import { chosenFiles, droppedFiles, type Found } from './found-files.ts'
import { pastedName } from './names.ts'
import { addFiles } from './queue.ts'

/** Whether files are being dragged over the page. */
export const isDragging = signal(false)

/** Uploads files that are dropped or pasted anywhere on the page, until the returned function is called. */
export function takeFiles (): () => void {
  const ended = new AbortController()
  const options = { signal: ended.signal }
  addEventListener('dragenter', dragOver, options)
  addEventListener('dragover', dragOver, options)
  addEventListener('dragleave', dragLeave, options)
  addEventListener('drop', drop, options)
  addEventListener('paste', paste, options)
  return () => ended.abort()
}

/** Uploads files into a folder, and creates the empty folders among them. */
export function receive ({ files, emptyFolders, leftOut, unreadable }: Found, folder: string): void {
  addFiles(files.map(({ file, path }) => ({ file, name: joined(folder, path) })))
  void createFolders(emptyFolders.map(path => joined(folder, path)))
  const news = [
    ...leftOut.length > 0 ? [texts.uploads.leftOut(formatNumber(leftOut.length), [...new Set(leftOut)].sort().join(', '))] : [],
    ...unreadable.map(texts.uploads.folderUnreadable)
  ]
  if (news.length > 0) notify({ text: news.join(' ') })
}

async function createFolders (names: readonly string[]): Promise<void> {
  for (const name of names) await call(store => store.createFolder(name)).catch(notifyProblem)
  if (names.length > 0) filesChanged()
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

function drop (event: DragEvent): void {
  isDragging.value = false
  if (event.dataTransfer?.types.includes('Files') !== true) return
  // Otherwise the browser would show the file in place of the page.
  event.preventDefault()
  // The user may open another folder while this one is read.
  const folder = openFolder.peek()
  void droppedFiles(event.dataTransfer).then(found => receive(found, folder))
}

function paste (event: ClipboardEvent): void {
  const files = Array.from(event.clipboardData?.files ?? [])
  if (files.length === 0 || isTextField(event.target)) return
  event.preventDefault()
  receive(chosenFiles(files.map(named)), openFolder.peek())
}

function isTextField (target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, [contenteditable]') !== null
}

/** Browsers give a copied picture without a file this name or none. */
function named (file: File): File {
  const isNameless = file.name === '' || file.name === 'image.png'
  return isNameless
    ? new File([file], pastedName(file.type, new Date()), { type: file.type, lastModified: file.lastModified })
    : file
}
