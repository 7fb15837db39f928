import { getTableColumns, type SQL, sql, type SQLWrapper } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'

/** The columns of a row that a function returns in its result `name`; all of them are null if it returns no row. */
export function rowColumns<T extends PgTable> (table: T, name: string): { [K in keyof T['_']['columns']]: SQL<T['_']['columns'][K]['_']['data']> } {
  const columns = Object.entries(getTableColumns(table)).map(([key, column]) => [key, sql`(${sql.identifier(name)}).${sql.identifier(column.name)}`.mapWith(column)])
  return Object.fromEntries(columns)
}

/** A call of a function with a placeholder for each of its parameters, as the only table of a query. */
export function callOf (name: string, parameters: readonly string[]): SQL {
  const placeholders: SQLWrapper[] = parameters.map(parameter => sql`${sql.placeholder(parameter)}`)
  return sql`${sql.identifier(name)}(${sql.join(placeholders, sql`, `)})`
}
