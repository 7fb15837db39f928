import { setImmediate } from 'node:timers/promises'
import type { Metadata } from '../metadata/metadata.ts'
import { splitPath } from '../metadata/paths.ts'
import type { FileRecord, FolderRecord } from '../metadata/records.ts'

/** Files or folders that are read at once. */
export const PAGE = 200

/** Names that are looked up at once. */
export const LOOKUP_BATCH = 50

/** Folders whose content is read by one query. */
const FOLDERS_AT_ONCE = 200

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

/** Splits a list. Yields to the event loop before each part. */
export async function * partsOf<T> (list: readonly T[], size: number): AsyncGenerator<T[]> {
  for (let index = 0; index < list.length; index += size) {
    await setImmediate()
    yield list.slice(index, index + size)
  }
}

/** Files or folders that are directly in one of some folders. */
type Members = { readonly files: FileRecord[] } | { readonly folders: FolderRecord[] }

/** All that is in folders and below, some at a time: a folder comes before what is in it, and only once. */
export async function * pagesBelow (
  { files, folders }: Metadata, ownerId: number, folderIds: readonly number[]
): AsyncGenerator<Members> {
  // A folder that is moved meanwhile could be found again.
  const known = new Set(folderIds)
  const open = [...folderIds]
  for (let done = 0; done < open.length;) {
    const within = { folderIds: open.slice(done, done + FOLDERS_AT_ONCE), limit: PAGE }
    done += within.folderIds.length
    for await (const page of pagesOf<FileRecord>(after => files.listIn(ownerId, { ...within, after }))) {
      yield { files: page }
    }
    for await (const page of pagesOf<FolderRecord>(after => folders.listIn(ownerId, { ...within, after }))) {
      const found = page.filter(({ id }) => !known.has(id))
      for (const { id } of found) {
        known.add(id)
        open.push(id)
      }
      yield { folders: found }
    }
  }
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
