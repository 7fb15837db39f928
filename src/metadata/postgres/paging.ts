import { and, asc, desc, gt, gte, lt, sql, type SQL } from 'drizzle-orm'
import { afterPrefix } from '../prefix.ts'
import type { FileOrder, FilePage } from '../records.ts'
import { files } from './schema.ts'

/** Column and direction of each sort order. */
const sorting = {
  name: { column: files.name, isAscending: true },
  '-name': { column: files.name, isAscending: false },
  oldest: { column: files.createdAt, isAscending: true },
  newest: { column: files.createdAt, isAscending: false },
  smallest: { column: files.size, isAscending: true },
  largest: { column: files.size, isAscending: false }
} as const satisfies Record<FileOrder, unknown>

/** ORDER BY of a file listing. An owner has a name only once: with the id PostgreSQL would sort again. */
export function ordering (order: FileOrder): SQL[] {
  const { column, isAscending } = sorting[order]
  const direction = isAscending ? asc : desc
  return column === files.name ? [direction(column)] : [direction(column), direction(files.id)]
}

/**
 * Condition for the files after the previous page. Compares (column, id) as one row value, so PostgreSQL seeks in the index to
 * the end of that page.
 */
export function afterPosition ({ order, prefix = '', after }: FilePage): SQL | undefined {
  const { column, isAscending } = sorting[order]
  if (column === files.name) {
    const end = afterPrefix(prefix)
    const further = isAscending ? gt : lt
    return and(
      gte(column, prefix),
      end === undefined ? undefined : lt(column, end),
      after === undefined ? undefined : further(column, String(after.key))
    )
  }
  if (after === undefined) return undefined
  return isAscending
    ? sql`(${column}, ${files.id}) > (${after.key}, ${after.id})`
    : sql`(${column}, ${files.id}) < (${after.key}, ${after.id})`
}
