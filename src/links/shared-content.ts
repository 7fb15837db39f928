import { findName } from '../files/names.ts'
import type { OpenLink } from '../metadata/link-records.ts'
import { joinPath, splitPath } from '../metadata/paths.ts'
import type { FileRecord, FolderRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'

/** A file or folder that a link gives. Its path begins in the linked folder. */
export type SharedEntry =
  | { readonly kind: 'file', readonly file: FileRecord }
  | { readonly kind: 'folder', readonly folder: FolderRecord }

/** The last entry of a page, by its kind and last segment. */
export interface SharedPosition { readonly key: string, readonly id: SharedEntry['kind'] }

interface SharedPage {
  /** The path below the linked folder; empty for itself. */
  readonly path: string
  readonly after: SharedPosition | undefined
  readonly limit: number
}

/** What visitors read by a `download` link: its file, or what is in its folder now. */
export function createSharedContent ({ metadata }: Pick<AppServices, 'metadata'>) {
  async function find ({ link, account, folder }: OpenLink, text: string): Promise<FileRecord | undefined> {
    if (folder === undefined) return (await metadata.links.findBySecret(link.secretHash))?.file
    const name = findName(text)
    return name === undefined ? undefined : metadata.links.findFile({ ownerId: account.id, folderId: folder.id }, name)
  }

  return {
    /**
     * What a download finds: for a link of a file always that, whatever the name. The function that is returned throws
     * not_found.
     */
    finderOf (open: OpenLink, name: string): () => Promise<FileRecord> {
      let known = open.file
      return async () => {
        const file = known ?? await find(open, name)
        // Asked again, because its bytes are gone.
        known = undefined
        if (file === undefined) throw new Problem('not_found')
        return file
      }
    },

    /** The linked folder, or one below it, which is the root of its zip. @throws not_found. */
    async findFolder ({ account, link, folder }: OpenLink, path: string): Promise<Pick<FolderRecord, 'id' | 'path'>> {
      if (folder === undefined) throw new Problem('not_found')
      const id = await metadata.links.idOfFolder({ ownerId: account.id, folderId: folder.id }, path)
      return { id, path: path === '' ? link.name : path }
    },

    /** At most `limit` entries directly in a folder: the folders by name, then the files by name. @throws not_found. */
    async list ({ account, file, folder }: OpenLink, { path, after, limit }: SharedPage): Promise<SharedEntry[]> {
      if (file !== undefined) {
        if (path !== '') throw new Problem('not_found')
        return [fileIn('', file)]
      }
      const at = { ownerId: account.id, folderId: (folder as FolderRecord).id }
      const isInFiles = after?.id === 'file'
      const folders = isInFiles ? [] : await metadata.links.listFolders(at, { folder: path, after: after?.key, limit })
      const files = await metadata.links.listFiles(at, {
        folder: path, after: isInFiles ? after.key : undefined, limit: limit - folders.length
      })
      return [...folders.map(entry => folderIn(path, entry)), ...files.map(entry => fileIn(path, entry))]
    }
  }
}

/** The position of an entry in its listing. */
export function positionOf (entry: SharedEntry): SharedPosition {
  const path = entry.kind === 'file' ? entry.file.name : entry.folder.path
  return { key: splitPath(path).name, id: entry.kind }
}

// Of the stored path only the last segment is used: the linked folder may have been moved since it was read.

function fileIn (path: string, file: FileRecord): SharedEntry {
  return { kind: 'file', file: { ...file, name: joinPath(path, splitPath(file.name).name) } }
}

function folderIn (path: string, folder: FolderRecord): SharedEntry {
  return { kind: 'folder', folder: { ...folder, path: joinPath(path, splitPath(folder.path).name) } }
}
