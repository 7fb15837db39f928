import { splitPath } from '../metadata/paths.ts'
import type { FilePosition, FileRecord, FolderRecord } from '../metadata/records.ts'
import type { Files } from './files.ts'
import type { Folders } from './folders.ts'

/** Files or folders that are read at once. */
const PAGE = 200

/** All files directly in a folder by name, some at a time; the root is empty. @throws not_found. */
export async function * filePages (
  files: Pick<Files, 'list'>, ownerId: number, folder: string
): AsyncGenerator<FileRecord[]> {
  let after: FilePosition | undefined
  for (;;) {
    const page = await files.list(ownerId, { folder, order: 'name', prefix: undefined, limit: PAGE, after })
    yield page
    const last = page.at(-1)
    if (page.length < PAGE || last === undefined) return
    after = { key: splitPath(last.name).name, id: last.id }
  }
}

/** The same for the folders in a folder. */
export async function * folderPages (
  folders: Pick<Folders, 'list'>, ownerId: number, path: string
): AsyncGenerator<FolderRecord[]> {
  let after: string | undefined
  for (;;) {
    const page = await folders.list(ownerId, path, { limit: PAGE, after })
    yield page
    const last = page.at(-1)
    if (page.length < PAGE || last === undefined) return
    after = splitPath(last.path).name
  }
}
