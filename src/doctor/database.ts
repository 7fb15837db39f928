import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dataFolderLayout, hasDatabase, hasLostDatabase, isHalfRestored, LOST_DATABASE_REMEDY } from '../blobs/disk/data-folder.ts'
import { OperatorError } from '../problems.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'

/** What a doctor needs of the backend that keeps the facts. */
export interface DatabaseTools {
  /** Whether something called `name` belongs beside the database called `file`. */
  isBesideDatabase (name: string, file: string): boolean
  /** The database `file`, or a copy in the new folder `scratch` where to look through the one would change the folder. */
  findReadableDatabase (file: string, scratch: string): Promise<string>
  /**
   * Looks through a database without a change to it: whether the next start brings it up to date, and what is wrong, a line each.
   * @throws {OperatorError} where a newer version made it, and whatever the backend says of one that is damaged.
   */
  checkDatabaseIntegrity (file: string): { readonly isBehind: boolean, readonly findings: string[] }
}

export async function checkDatabase (dataDir: string, { findReadableDatabase, checkDatabaseIntegrity }: DatabaseTools): Promise<Diagnosis> {
  if (await isHalfRestored(dataDir)) return fault('a restore into DATA_DIR did not come to its end', 'do it again')
  if (await hasLostDatabase(dataDir)) return fault('it is gone, and the bytes of files are still there', LOST_DATABASE_REMEDY)
  if (!await hasDatabase(dataDir)) return good('there is none yet: the first start makes it')
  const scratch = join(tmpdir(), `magicstore-doctor-${randomUUID()}`)
  try {
    return await findReadableDatabase(join(dataDir, dataFolderLayout.database), scratch).then(file => diagnose(file, checkDatabaseIntegrity), tellOfCopy)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function tellOfCopy (error: Error): Diagnosis {
  return warning(`it was not looked through, for that takes a copy: ${error.message}`, 'set TMPDIR to a folder with room for the database, and run as the user that owns it')
}

function diagnose (file: string, checkDatabaseIntegrity: DatabaseTools['checkDatabaseIntegrity']): Diagnosis {
  try {
    const { isBehind, findings: [first, ...others] } = checkDatabaseIntegrity(file)
    if (first !== undefined) return damaged(`${first}, and ${others.length} more`)
    if (isBehind) return good('it is sound, and of an older version: the next start keeps a copy and brings it up to date')
    return good('it is sound; whether every file has its bytes, fsck --deep says')
  } catch (error) {
    if (error instanceof OperatorError) return fault(error.message, 'run the newer version, or restore a backup that this one made')
    return damaged((error as Error).message)
  }
}

function damaged (reason: string): Diagnosis {
  return fault(`it is damaged: ${reason}`, 'stop the server, keep a copy of DATA_DIR, and restore the newest backup')
}
