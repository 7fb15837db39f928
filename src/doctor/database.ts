import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dataFolderLayout, hasDatabase } from '../data-folder/data-folder.ts'
import { OperatorError } from '../problems.ts'
import { fault, faultOf, good, warning, type Diagnosis } from './diagnosis.ts'

/** The functions of the metadata backend that the checks need. */
export interface DatabaseTools {
  /** Whether a file called `name` belongs beside the database called `file`. */
  readonly isBesideDatabase: (name: string, file: string) => boolean
  /** The database `file`, or a copy in the new folder `scratch` if reading the original would change its folder. */
  readonly findReadableDatabase: (file: string, scratch: string) => Promise<string>
  /**
   * Checks a database without changing it: whether the next start upgrades it, and its errors, one line each.
   * @throws {OperatorError} if it can't be upgraded, and the backend's error if it is damaged.
   */
  readonly checkDatabaseIntegrity: (file: string) => { readonly isOutdated: boolean, readonly findings: string[] }
}

/** `denied`: what this user can't read and write in DATA_DIR, which the check of the folder reports. */
export async function checkDatabase (
  dataDir: string, denied: string[], { findReadableDatabase, checkDatabaseIntegrity }: DatabaseTools
): Promise<Diagnosis> {
  if (!await hasDatabase(dataDir)) return good('it does not exist yet; the first start creates it')
  const unread = denied.filter(name => name.startsWith(dataFolderLayout.database))
  if (unread.length > 0) return warning(`it was not checked, because this user can't read and write ${unread.join(', ')}`, 'run as the user that owns DATA_DIR')
  return withScratch(scratch => findReadableDatabase(join(dataDir, dataFolderLayout.database), scratch).then(
    file => diagnose(file, checkDatabaseIntegrity),
    diagnoseCopyFailure
  ))
}

/** Runs `use` with the path of a new folder, which it may create, and then removes that. */
export async function withScratch<T> (use: (scratch: string) => Promise<T>): Promise<T> {
  const scratch = join(tmpdir(), `magicstore-doctor-${randomUUID()}`)
  return use(scratch).finally(() => rm(scratch, { recursive: true, force: true }))
}

/** For a database that could not be copied. */
export function diagnoseCopyFailure (error: Error): Diagnosis {
  return warning(
    `it was not checked, because it could not be copied: ${error.message}`,
    'set TMPDIR to a folder with enough space for the database, and run as the user that owns it'
  )
}

function diagnose (file: string, checkDatabaseIntegrity: DatabaseTools['checkDatabaseIntegrity']): Diagnosis {
  try {
    const { isOutdated, findings: [first, ...others] } = checkDatabaseIntegrity(file)
    if (first !== undefined) return damaged(`${first}, and ${others.length} more`)
    if (isOutdated) return good('no errors; it is of an older version, and the next start keeps a copy and upgrades it')
    return good('no errors; to check the stored bytes run magicstore fsck --deep')
  } catch (error) {
    if (error instanceof OperatorError) return faultOf(error)
    return damaged((error as Error).message)
  }
}

function damaged (reason: string): Diagnosis {
  return fault(`it is damaged: ${reason}`, 'stop the server, keep a copy of DATA_DIR, and restore the latest backup')
}
