import { Database } from './driver.ts'
import { isOutdated, refuseUnknown } from './migrations.ts'

/**
 * Checks the database `file`, without writing to it.
 * @throws {UnknownMigrationError}, and SQLite's error for a file that it can't read.
 */
export function checkDatabaseIntegrity (file: string): { isOutdated: boolean, findings: string[] } {
  refuseUnknown(file)
  const client = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return { isOutdated: isOutdated(client), findings: integrityErrors(client) }
  } finally {
    client.close()
  }
}

/** Errors in the database itself, one line each. */
export function integrityErrors (client: Database): string[] {
  const checked = client.pragma('integrity_check') as { integrity_check: string }[]
  const violations = client.pragma('foreign_key_check') as { table: string, rowid: number }[]
  return [
    ...checked.map(row => row.integrity_check).filter(line => line !== 'ok'),
    ...violations.map(({ table, rowid }) => `row ${rowid} of ${table} refers to a row that does not exist`)
  ]
}
