import { setImmediate } from 'node:timers/promises'
import type { Metadata } from '../metadata/metadata.ts'
import { splitPath } from '../metadata/paths.ts'
import type { FileRecord, FolderRecord } from '../metadata/records.ts'

/** Files or folders that are read at once. */
export const PAGE = 200

/** Yields pages; `list` reads the page after an entry. Yields to the event loop before each page. */
export async function * pagesOf<Entry> (list: (after: Entry | undefined) => Promise<Entry[]>): AsyncGenerator<Entry[]> {
  let after: Entry | undefined
  do {
    await setImmediate()
    const page = await list(after)
    yield page
    after = page.length < PAGE ? undefined : page.at(-1)
  } while (after !== undefined)
}

/** All files directly in a folder by name, some at a time; the root is empty. @throws not_found. */
export function filePages ({ files }: Metadata, ownerId: number, folder: string): AsyncGenerator<FileRecord[]> {
  return pagesOf(last => {
    const after = last && { key: splitPath(last.name).name, id: last.id }
    return files.list(ownerId, { folder, order: 'name', prefix: undefined, limit: PAGE, after })
  })
}

/** The same for the folders in a folder. */
export function folderPages ({ folders }: Metadata, ownerId: number, path: string): AsyncGenerator<FolderRecord[]> {
  return pagesOf(last => {
    const after = last && { key: splitPath(last.path).name, id: last.id }
    return folders.list(ownerId, path, { order: 'name', limit: PAGE, after })
  })
}
