import Database from 'better-sqlite3'
import { findDamage } from './inspection.ts'
import { isBehind, refuseNewer } from './migrations.ts'

/** Looks through the database `file`, which is only read. @throws {NewerDatabaseError}, and what SQLite says of a file that it can't make out. */
export function examineDatabase (file: string): { isBehind: boolean, findings: string[] } {
  refuseNewer(file)
  const client = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return { isBehind: isBehind(client), findings: findDamage(client) }
  } finally {
    client.close()
  }
}
