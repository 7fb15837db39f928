import { asc, desc, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import type { FileOrder, FilePage } from './records.ts'
import type { Tables } from './schema.ts'

/**
 * ORDER BY, LIMIT and OFFSET for a prepared query. If the limit is a bare parameter, as Drizzle's `limit(1)` makes it,
 * SQLite's planner reads its value and prepares the statement again at each execution; it does not look into a cast.
 */
export function limitedTo (order: SQL, limit: Placeholder | number, offset: Placeholder | number = 0): SQL {
  return sql`${order} limit cast(${limit} as bigint) offset cast(${offset} as bigint)`
}

/** Column and direction of a sort order. */
function sortingOf (order: FileOrder, { name, createdAt, size }: Tables['files']) {
  return {
    name: { column: name, isAscending: true },
    '-name': { column: name, isAscending: false },
    oldest: { column: createdAt, isAscending: true },
    newest: { column: createdAt, isAscending: false },
    smallest: { column: size, isAscending: true },
    largest: { column: size, isAscending: false }
  }[order]
}

/** ORDER BY of the files in a folder. It has a name only once: with the id PostgreSQL would sort again. */
export function ordering (order: FileOrder, files: Tables['files']): SQL[] {
  const { column, isAscending } = sortingOf(order, files)
  const direction = isAscending ? asc : desc
  return column === files.name ? [direction(column)] : [direction(column), direction(files.id)]
}

/**
 * Condition for the files after the previous page. Compares (column, id) as one row value, so the database seeks in the
 * index to the end of that page.
 */
export function afterPosition ({ order, prefix = '', after }: FilePage, { tables: { files }, namesBetween }: Pick<Engine, 'tables' | 'namesBetween'>): SQL | undefined {
  const { column, isAscending } = sortingOf(order, files)
  if (column === files.name) return namesBetween(files.name, { prefix, after: after && String(after.key), isAscending })
  if (after === undefined) return undefined
  return isAscending
    ? sql`(${column}, ${files.id}) > (${after.key}, ${after.id})`
    : sql`(${column}, ${files.id}) < (${after.key}, ${after.id})`
}
