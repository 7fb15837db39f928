import { createGridFocus } from '../files/grid-focus.ts'
import { Listing } from '../files/listing.ts'
import { ancestorsOf, parentOf } from '../paths.ts'
import type { Page } from '../pages.ts'
import { openFolder } from './open-folder.ts'
import { ask } from './visit.ts'

/** A file or folder below the linked one. Its name is its path from there. */
export type Entry = FolderEntry | FileEntry
interface FolderEntry { readonly name: string, readonly size?: never }
export interface FileEntry {
  readonly name: string
  readonly size: number
  readonly type: string
  readonly sha256: string
  readonly updatedAt: string
  readonly hasThumbnail: boolean
  readonly takenAt: string | null
}

interface FolderPage { readonly folders: FolderEntry[], readonly files: FileEntry[], readonly next: string | null }

/** What is directly in the open folder: folders, then files, each by name. */
export const entries = new Listing<Entry>(async ({ limit, cursor }, signal): Promise<Page<Entry>> => {
  const query = new URLSearchParams({
    folder: openFolder.peek(), limit: String(limit), ...(cursor !== undefined && { cursor })
  })
  const response = await ask(`/list?${query}`, { signal })
  const { folders, files, next } = await response.json() as FolderPage
  return { entries: [...folders, ...files], next }
}, ({ name }) => name)

export const entriesFocus = createGridFocus()

/** The folder whose entries are listed. */
let listed: string | undefined

export function isFolder (entry: Entry): entry is FolderEntry {
  return !('size' in entry)
}

/** Loads the open folder. After going up, the folder that was left is the active row. */
export function showFolder (): void {
  const [folder, before] = [openFolder.peek(), listed]
  listed = folder
  const left = before === undefined ? [] : [...ancestorsOf(before), before]
  const below = left.find(path => path !== '' && path !== folder && parentOf(path) === folder)
  entriesFocus.active.value = below === undefined ? undefined : { key: below, column: 0 }
  entries.replace()
}
