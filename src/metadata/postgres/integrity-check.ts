import { getTableName, sql } from 'drizzle-orm'
import { getTableConfig, type PgColumn, type PgTable } from 'drizzle-orm/pg-core'
import type { ConnectionPool, Connection } from './connections.ts'
import {
  accountNetworks, changes, deletions, events, files, kept, linkNetworks, links, pictures, tokens, uploads
} from './schema.ts'

/** Findings of one kind that are listed. */
const MAX_FINDINGS = 100

/** Errors in the database itself, one line each. `longRunning` is for what reads whole tables. */
export function checkIntegrity (longRunning: ConnectionPool): Promise<string[]> {
  return longRunning.read(async db => {
    const findings: string[] = []
    for (const reference of references) findings.push(...await danglingRows(db, reference))
    return findings
  })
}

type Reference = ReturnType<typeof getTableConfig>['foreignKeys'][number]

const references = [
  accountNetworks, changes, deletions, events, files, kept, linkNetworks, links, pictures, tokens, uploads
].flatMap(table => getTableConfig(table).foreignKeys)

/** Rows that refer to a row that does not exist: PostgreSQL prevents them, unless someone has switched that off. */
async function danglingRows (db: Connection, key: Reference): Promise<string[]> {
  const { columns: [column], foreignTable, foreignColumns: [target] } =
    key.reference() as { columns: [PgColumn], foreignTable: PgTable, foreignColumns: [PgColumn] }
  const { rows } = await db.execute<{ value: string }>(sql`
    SELECT ${column} AS value FROM ${column.table}
    LEFT JOIN ${foreignTable} parents ON parents.${sql.identifier(target.name)} = ${column}
    WHERE ${column} IS NOT NULL AND parents.${sql.identifier(target.name)} IS NULL LIMIT ${MAX_FINDINGS}`)
  const [from, to] = [getTableName(column.table), getTableName(foreignTable)]
  return rows.map(({ value }) => `a row of ${from} refers to row ${value} of ${to}, which does not exist`)
}
