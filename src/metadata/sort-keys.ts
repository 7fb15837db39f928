import { and, asc, gt, isNull, type SQL } from 'drizzle-orm'
import { sortKeyOf } from './paths.ts'
import { type Db, matching, pipeline, placeholders, prepared, query } from './rule.ts'
import type { Tables } from './schema.ts'
import type { Services } from './services.ts'

/** Rows in one transaction. SQLite takes 10 ms for them. */
const BATCH = 1000

type NamedTable = Tables['files' | 'folders']

interface NamedRow { readonly id: number, readonly name: string, readonly sortKey: string | null }

/** The sort keys of files and folders, which a change of a name keeps right. */
export function createSortKeys ({ engine, longRunning }: Pick<Services, 'engine' | 'longRunning'>) {
  const { files, folders } = engine.tables
  const tables = [files, folders]
  const updates = prepared('sort_keys', {
    ofFile: db => db.update(files).set(placeholders('sortKey')).where(matching(files, 'id', 'name')),
    ofFolder: db => db.update(folders).set(placeholders('sortKey')).where(matching(folders, 'id', 'name'))
  })

  /** Some rows with an id after `after`, by their ids. */
  const rowsOf = (table: NamedTable, after: number, condition?: SQL) => query((db: Db) =>
    db.select({ id: table.id, name: table.name, sortKey: table.sortKey }).from(table)
      .where(and(gt(table.id, after), condition)).orderBy(asc(table.id)).limit(BATCH))

  async function * wrongIn (table: NamedTable): AsyncGenerator<NamedRow[]> {
    let rows: NamedRow[] = []
    do {
      const after = rows.at(-1)?.id ?? 0
      rows = await longRunning.read(() => rowsOf(table, after))
      yield rows.filter(({ name, sortKey }) => sortKey !== sortKeyOf(name))
    } while (rows.length === BATCH)
  }

  /** A row that was renamed meanwhile has the key of its new name. */
  const set = (table: NamedTable, rows: readonly NamedRow[]) => engine.transact(function * () {
    const update = table === files ? updates.ofFile : updates.ofFolder
    yield * pipeline(...rows.map(({ id, name }) => update({ id, name, sortKey: sortKeyOf(name) })))
  })

  return {
    /** Sets those that are missing: rows of an older version have none. For the start. */
    async fill (): Promise<void> {
      for (const table of tables) {
        let rows: NamedRow[] = []
        do {
          const after = rows.at(-1)?.id ?? 0
          rows = await engine.read(() => rowsOf(table, after, isNull(table.sortKey)))
          if (rows.length > 0) await set(table, rows)
        } while (rows.length === BATCH)
      }
    },

    /** How many files and folders are listed at a wrong place. For fsck. */
    async countWrong (): Promise<number> {
      let wrong = 0
      for (const table of tables) for await (const rows of wrongIn(table)) wrong += rows.length
      return wrong
    },

    /** Corrects them. For fsck. */
    async repair (): Promise<void> {
      for (const table of tables) for await (const rows of wrongIn(table)) await set(table, rows)
    }
  }
}
