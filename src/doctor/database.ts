import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dataFolderLayout, hasDatabase } from '../data-folder/data-folder.ts'
import { findReadableDatabase } from '../metadata/sqlite/database-file.ts'
import { checkDatabaseIntegrity } from '../metadata/sqlite/integrity-check.ts'
import { OperatorError } from '../problems.ts'
import { fault, faultOf, good, warning, type Diagnosis, type Environment } from './diagnosis.ts'

/** What this user can't read and write is reported by the check of the folder. */
export async function checkDatabase ({ dataDir, denied }: Environment): Promise<Diagnosis> {
  if (!await hasDatabase(dataDir)) return good('it does not exist yet; the first start creates it')
  const unread = denied.filter(name => name.startsWith(dataFolderLayout.database))
  if (unread.length > 0) {
    return warning(
      `it was not checked, because this user can't read and write ${unread.join(', ')}`,
      'run as the user that owns DATA_DIR'
    )
  }
  return withReadableDatabase(dataDir, async file => diagnose(file)).catch(diagnoseCopyFailure)
}

/**
 * Runs `use` with the database in DATA_DIR, or with a copy of it that is then removed, if reading the database would
 * change the folder.
 */
export async function withReadableDatabase<T> (dataDir: string, use: (file: string) => Promise<T>): Promise<T> {
  const scratch = join(tmpdir(), `magicstore-doctor-${randomUUID()}`)
  try {
    return await use(await findReadableDatabase(join(dataDir, dataFolderLayout.database), scratch))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** For a database that could not be copied. */
export function diagnoseCopyFailure (error: Error): Diagnosis {
  return warning(
    `it was not checked, because it could not be copied: ${error.message}`,
    'set TMPDIR to a folder with enough space for the database, and run as the user that owns it'
  )
}

function diagnose (file: string): Diagnosis {
  try {
    const { isOutdated, findings: [first, ...others] } = checkDatabaseIntegrity(file)
    if (first !== undefined) return damaged(`${first}, and ${others.length} more`)
    return good(isOutdated
      ? 'no errors; it is of an older version, and the next start keeps a copy and upgrades it'
      : 'no errors; to check the stored bytes run magicstore fsck --deep')
  } catch (error) {
    return error instanceof OperatorError ? faultOf(error) : damaged((error as Error).message)
  }
}

function damaged (reason: string): Diagnosis {
  return fault(`it is damaged: ${reason}`, 'stop the server, keep a copy of DATA_DIR, and restore the latest backup')
}
