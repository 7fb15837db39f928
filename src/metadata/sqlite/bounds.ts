import { sql, type Placeholder, type SQL } from 'drizzle-orm'

/**
 * An order and a limit for a prepared statement. SQLite's planner looks at a LIMIT that is a bare parameter, so that each
 * new value has the statement prepared anew; one that has to be computed it takes as it comes.
 */
export function limitedTo (order: SQL, limit: Placeholder | number, offset: Placeholder | number = 0): SQL {
  return sql`${order} limit cast(${limit} as integer) offset cast(${offset} as integer)`
}
