import { and, eq, ne, or, sql, type SQL } from 'drizzle-orm'
import { query } from './rule.ts'
import type { Services } from './services.ts'

/** How much each deletion has in the trash, as it is recorded. */
export function createDeletionCounts (
  { engine, longRunning, owners }: Pick<Services, 'engine' | 'longRunning' | 'owners'>
) {
  const { deletions } = engine.tables
  // Raw SQL: in a query of one table Drizzle omits the table's name, and kept content has a size as well.
  const ofKept = (value: SQL) => sql`(SELECT ${value} FROM kept k
    WHERE k.owner_id = deletions.owner_id AND k.deleted_with = deletions.id)`.mapWith(Number)
  const actual = {
    files: ofKept(sql`count(*) - count(k.folder)`),
    folders: ofKept(sql`count(k.folder)`),
    size: ofKept(sql`cast(coalesce(sum(k.size), 0) AS bigint)`)
  }
  const isWrong = or(
    ne(deletions.files, actual.files), ne(deletions.folders, actual.folders), ne(deletions.size, actual.size)
  )

  const listWrong = () => longRunning.read(() =>
    query(db => db.select({ id: deletions.id, ownerId: deletions.ownerId }).from(deletions).where(isWrong)))

  return {
    /** How many deletions have a wrong count. For fsck. */
    countWrong: async (): Promise<number> => (await listWrong()).length,

    /** Recounts them. One that has nothing in the trash ends. For fsck. */
    async repair (): Promise<void> {
      for (const { id, ownerId } of await listWrong()) {
        await engine.transact(function * () {
          // Locked first: a single statement would count what it saw before it waited for a deletion.
          yield * owners.findLocked(ownerId)
          yield * query(db => db.update(deletions).set(actual).where(eq(deletions.id, id)))
          yield * query(db => db.delete(deletions)
            .where(and(eq(deletions.id, id), eq(deletions.files, 0), eq(deletions.folders, 0))))
        })
      }
    }
  }
}
