import { and, lte, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import type { Deleted, Deletion, RetainedRow } from './retention-records.ts'
import { matching, pipeline, placeholders, plus, prepared, type QueryRule, type Rule } from './rule.ts'

/** Counts what deletions have in the trash, in the current transaction, which has locked the owner. */
export type Deletions = ReturnType<typeof createDeletions>

export function createDeletions (engine: Engine) {
  const queries = queriesOf(engine)
  return {
    /** A deletion has moved something to the trash. It is as old as the first act that did. */
    add: (ownerId: number, deletion: Deletion, deleted: Deleted, deletedAt: number): QueryRule<unknown> =>
      queries.add({ ...deletion, ownerId, ...deleted, deletedAt }),

    /** Contents leave the trash. A deletion ends with the last of what it has there. */
    * subtract (contents: readonly Pick<RetainedRow, 'deletedWith' | 'folder' | 'size'>[]): Rule<void> {
      const sums = new Map<string, Deleted>()
      for (const { deletedWith, folder, size } of contents) {
        if (deletedWith === null) continue
        const sum = sums.get(deletedWith) ?? { files: 0, folders: 0, size: 0 }
        const isFile = folder === null
        sums.set(deletedWith, {
          files: sum.files - Number(isFile), folders: sum.folders - Number(!isFile), size: sum.size - size
        })
      }
      if (sums.size === 0) return
      const changes = Array.from(sums, ([id, sum]) => queries.change({ id, ...sum }))
      yield * pipeline(...changes, queries.end({ ids: Array.from(sums.keys()) }))
    }
  }
}

function queriesOf ({ tables: { deletions }, isAmong }: Engine) {
  const { files, folders, size } = deletions
  const changed = { files: plus(files, 'files'), folders: plus(folders, 'folders'), size: plus(size, 'size') }
  return prepared('deletions', {
    add: db => db.insert(deletions)
      .values(placeholders('id', 'ownerId', 'kind', 'name', 'files', 'folders', 'size', 'deletedAt'))
      .onConflictDoUpdate({ target: deletions.id, set: changed }),
    change: db => db.update(deletions).set(changed).where(matching(deletions, 'id')),
    end: db => db.delete(deletions).where(and(isAmong(deletions.id, 'ids'), lte(sql`${files} + ${folders}`, 0)))
  })
}
