import { and, eq, sql } from 'drizzle-orm'
import { pipeline, prepared, query, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'

/**
 * Folders and files whose place is wrong, or taken by both, one line each. A folder that is its own ancestor is among
 * them: it can't be that the path of each is longer than that of its parent.
 */
export function * findFolderFaults (tables: Tables): Rule<string[]> {
  const { misplaced, orphans, twins } = queriesOf(tables)
  const [folders, files, pairs] = yield * pipeline(query(misplaced), query(orphans), query(twins))
  return [
    ...folders.map(({ id, ownerId, path, parent }) => {
      const folder = `folder ${id} of account ${ownerId} (${JSON.stringify(path)})`
      return parent === null ? `${folder} has no parent` : `${folder} does not have the path of its parent and its name`
    }),
    ...files.map(({ id, ownerId, name }) =>
      `file ${id} of account ${ownerId} (${JSON.stringify(name)}) is in a folder that does not exist`),
    ...pairs.map(({ id, ownerId, path, folder }) =>
      `file ${id} of account ${ownerId} (${JSON.stringify(path)}) has the path of folder ${folder}`)
  ]
}

function queriesOf ({ files, folders }: Tables) {
  // Raw SQL: in a query of one table Drizzle omits the table's name.
  const parent = sql<string | null>`CASE WHEN ${eq(folders.parentId, 0)} THEN ''
    ELSE (SELECT p.path || '/' FROM folders p WHERE p.id = folders.parent_id AND p.owner_id = folders.owner_id) END`
  return {
    misplaced: prepared('misplaced_folders', db => db.select({ id: folders.id, ownerId: folders.ownerId, path: folders.path, parent })
      .from(folders).where(sql`coalesce(${folders.path} <> ${parent} || ${folders.name}, true)`)),
    orphans: prepared('orphaned_files', db => db.select({ id: files.id, ownerId: files.ownerId, name: files.name }).from(files)
      .where(sql`${files.folderId} <> 0 AND NOT EXISTS (
        SELECT 1 FROM folders o WHERE o.id = files.folder_id AND o.owner_id = files.owner_id)`)),
    twins: prepared('files_with_folder_paths', db => db
      .select({ id: files.id, ownerId: files.ownerId, path: folders.path, folder: folders.id }).from(folders)
      .innerJoin(files, and(
        eq(files.ownerId, folders.ownerId), eq(files.folderId, folders.parentId), eq(files.name, folders.name))))
  }
}
