import { and, asc, desc, eq, gt, type SQL, sql } from 'drizzle-orm'
import { fileColumns } from './file-columns.ts'
import { afterPosition, ordering } from './paging.ts'
import type { FilePage, FileRecord } from './records.ts'
import { query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** Reads pages of files. */
export function createFileListing ({ engine, tree }: Services) {
  const { tables } = engine
  const { files } = tables

  const select = (ownerId: number, condition: SQL | undefined, { order, limit }: { order: SQL[], limit: number }) =>
    query(db => db.select(fileColumns(tables)).from(files)
      .where(and(eq(files.ownerId, ownerId), condition)).orderBy(...order).limit(limit))

  function * listFolder (ownerId: number, folder: string, page: FilePage): Rule<FileRecord[]> {
    const condition = and(eq(files.folderId, yield * tree.idOf(ownerId, folder)), afterPosition(page, engine))
    return yield * select(ownerId, condition, { order: ordering(page.order, files), limit: page.limit })
  }

  /** The root comes first in both orders by name. */
  function * listAll (ownerId: number, page: FilePage): Rule<FileRecord[]> {
    const { order, after, limit } = page
    const inRoot = after === undefined || after.id === 0 ? yield * listFolder(ownerId, '', page) : []
    if (inRoot.length === limit) return inRoot
    const position = after?.id === 0 ? undefined : after
    const isBelowRoot = gt(files.folderId, 0)
    const end = position && sql`(${position.id}, ${position.key})`
    const place = sql`(${files.folderId}, ${files.name})`
    // One bound on each side: with two lower ones SQLite would seek to the first and scan to the second.
    const [direction, condition] = order === '-name'
      ? [desc, and(isBelowRoot, end && sql`${place} < ${end}`)]
      : [asc, end ? sql`${place} > ${end}` : isBelowRoot]
    const byFolder = { order: [direction(files.folderId), direction(files.name)], limit: limit - inRoot.length }
    return [...inRoot, ...yield * select(ownerId, condition, byFolder)]
  }

  return (ownerId: number, page: FilePage) =>
    page.folder === undefined ? listAll(ownerId, page) : listFolder(ownerId, page.folder, page)
}
