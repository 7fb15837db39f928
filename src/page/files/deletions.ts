import type { DeletedFile } from 'magicstore'
import { MAX_PAGE_ENTRIES, type Page, type PageQuery } from '../pages.ts'
import { isWithin } from '../paths.ts'
import { request } from '../requests.ts'
import { isFolder, type Entry } from './entries.ts'

/** How many pages of the trash are searched for what was deleted. */
const MAX_PAGES = 50

/** The `deletedWith` of the newest files of the trash. @throws what `call` throws. */
export async function deletionsInTrash (): Promise<Set<string>> {
  const { entries } = await loadTrash({ limit: MAX_PAGE_ENTRIES })
  return new Set(entries.flatMap(({ deletedWith }) => deletedWith ?? []))
}

export interface Deletions {
  /** The ids of deleted files in the trash, by name. */
  readonly fileIds: ReadonlyMap<string, string>
  /** The `deletedWith` of deleted folders whose files are in the trash, by name. */
  readonly deletions: ReadonlyMap<string, string>
}

/**
 * Finds entries in the trash that were just deleted; `earlier` are the deletions before that. Files are found by name,
 * because their content can be newer than in the list.
 * @throws what `call` throws.
 */
export async function findDeleted (gone: readonly Entry[], earlier: ReadonlySet<string>): Promise<Deletions> {
  const fileIds = new Map<string, string>()
  const deletions = new Map<string, string>()
  const files = new Set(gone.filter(entry => !isFolder(entry)).map(({ name }) => name))
  const folders = gone.filter(isFolder).map(({ name }) => name)
  const take = ({ id, name, deletedWith }: DeletedFile) => {
    // The newest is first.
    if (files.has(name) && !fileIds.has(name)) fileIds.set(name, id)
    if (deletedWith === null || earlier.has(deletedWith)) return
    const folder = folders.find(folder => isWithin(name, folder))
    if (folder !== undefined && !deletions.has(folder)) deletions.set(folder, deletedWith)
  }
  let next: string | null = null
  for (let page = 0; page < MAX_PAGES; page++) {
    const cursor: { cursor?: string } = next === null ? {} : { cursor: next }
    const found = await loadTrash({ limit: MAX_PAGE_ENTRIES, ...cursor })
    found.entries.forEach(take)
    next = found.next
    if (next === null || fileIds.size + deletions.size === gone.length) break
  }
  return { fileIds, deletions }
}

/** A page of the trash, newest first. @throws what `call` throws. */
export async function loadTrash (query: PageQuery, signal: AbortSignal | null = null): Promise<Page<DeletedFile>> {
  const { files: entries, next } = await request(api => api.GET('/api/trash', { params: { query }, signal }))
  return { entries, next }
}
