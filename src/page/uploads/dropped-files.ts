import { notify } from '../notices.tsx'
import { texts } from '../texts.ts'

/**
 * The dropped files, with those in dropped folders and their subfolders. Call it during the event: afterwards
 * `transfer` is empty.
 */
export async function filesOf (transfer: DataTransfer): Promise<File[]> {
  const folders = Array.from(transfer.items, folderOf).filter(folder => folder !== undefined)
  const names = new Set(folders.map(({ name }) => name))
  const found = Array.from(transfer.files).filter(({ name, type }) => type !== '' || !names.has(name))
  for (const folder of folders) {
    await walk(folder, found).catch(() => notify({ text: texts.uploads.folderUnreadable(folder.name) }))
  }
  return found
}

/** Items with a media type are files: `webkitGetAsEntry` blocks for 0.25 ms per item, and thousands can be dropped. */
function folderOf (item: DataTransferItem): FileSystemEntry | undefined {
  if (item.kind !== 'file' || item.type !== '') return undefined
  const entry = item.webkitGetAsEntry()
  return entry?.isDirectory === true ? entry : undefined
}

async function walk (entry: FileSystemEntry, found: File[]): Promise<void> {
  if (entry.isFile) {
    found.push(await new Promise((resolve, reject) => { (entry as FileSystemFileEntry).file(resolve, reject) }))
    return
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject) })
    // They come in batches; an empty one is the end.
    if (entries.length === 0) return
    for (const child of entries) await walk(child, found)
  }
}
