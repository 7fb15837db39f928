import { and, asc, desc, eq, gt, type SQL, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { fileColumns } from './file-columns.ts'
import type { FolderTree } from './folder-tree.ts'
import { afterPosition, ordering } from './paging.ts'
import type { FilePage, FileRecord } from './records.ts'
import { ask, reading, type Rule } from './rule.ts'

/** Reads pages of files. */
export class FileListing {
  readonly #engine: Engine
  readonly #tree: FolderTree

  constructor (engine: Engine, tree: FolderTree) {
    this.#engine = engine
    this.#tree = tree
  }

  /** @throws not_found if the folder does not exist. */
  list (ownerId: number, page: FilePage): Rule<FileRecord[]> {
    return page.folder === undefined
      ? this.#listAll(ownerId, page)
      : this.#listFolder(ownerId, { ...page, folder: page.folder })
  }

  * #listFolder (ownerId: number, page: FilePage & { folder: string }): Rule<FileRecord[]> {
    const { files } = this.#engine.tables
    const folderId = yield * this.#tree.idOf(ownerId, page.folder)
    const condition = and(eq(files.folderId, folderId), afterPosition(page, this.#engine))
    return yield * this.#select(ownerId, condition, { order: ordering(page.order, files), limit: page.limit })
  }

  /** The root comes first in both orders by name. */
  * #listAll (ownerId: number, page: FilePage): Rule<FileRecord[]> {
    const { order, after, limit } = page
    const inRoot = after === undefined || after.id === 0 ? yield * this.#listFolder(ownerId, { ...page, folder: '' }) : []
    if (inRoot.length === limit) return inRoot
    const { files } = this.#engine.tables
    const position = after?.id === 0 ? undefined : after
    const isBelowRoot = gt(files.folderId, 0)
    const end = position && sql`(${position.id}, ${position.key})`
    const place = sql`(${files.folderId}, ${files.name})`
    // One bound on each side: with two lower ones SQLite would seek to the first and scan to the second.
    const [direction, condition] = order === '-name'
      ? [desc, and(isBelowRoot, end && sql`${place} < ${end}`)]
      : [asc, end ? sql`${place} > ${end}` : isBelowRoot]
    const byFolder = { order: [direction(files.folderId), direction(files.name)], limit: limit - inRoot.length }
    return [...inRoot, ...yield * this.#select(ownerId, condition, byFolder)]
  }

  #select (ownerId: number, condition: SQL | undefined, { order, limit }: { order: SQL[], limit: number }) {
    const { files } = this.#engine.tables
    return ask(reading('', db => db.select(fileColumns(this.#engine.tables)).from(files)
      .where(and(eq(files.ownerId, ownerId), condition)).orderBy(...order).limit(limit)))
  }
}
