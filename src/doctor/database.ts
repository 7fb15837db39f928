import { randomUUID } from 'node:crypto'
import { constants, copyFile, mkdir, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dataFolderLayout, hasDatabase, isThere } from '../data-folder.ts'
import { OperatorError } from '../operator-error.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'

/**
 * Looks through a database without a change to it. Beside it SQLite may make files of its own where it has none.
 * @throws {OperatorError} where a newer version made it, and whatever SQLite says of one that is damaged.
 */
export type ExamineDatabase = (file: string) => {
  /** Whether the next start brings it up to date. */
  readonly isBehind: boolean
  /** What is wrong with it, a line each. */
  readonly findings: string[]
}

export async function checkDatabase (dataDir: string, examine: ExamineDatabase): Promise<Diagnosis> {
  if (!await hasDatabase(dataDir)) {
    const isHalfRestored = await isThere(join(dataDir, dataFolderLayout.restoring))
    return isHalfRestored ? fault('a restore into DATA_DIR did not come to its end', 'do it again') : good('there is none yet: the first start makes it')
  }
  const scratch = join(tmpdir(), `magicstore-doctor-${randomUUID()}`)
  try {
    return await still(dataDir, scratch).then(file => diagnose(file, examine), tellOfCopy)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/**
 * The database itself where somebody has it open, or was killed over it, which the memory that SQLite shares shows. Else a
 * copy in a new folder, `scratch`: to open the database would leave files in DATA_DIR, and SQLite's `immutable`, which
 * leaves none, is not to be had from better-sqlite3.
 */
async function still (dataDir: string, scratch: string): Promise<string> {
  const { database } = dataFolderLayout
  const shared = join(dataDir, `${database}-shm`)
  const isOpen = await isThere(shared)
  if (!isOpen) {
    await mkdir(scratch, { mode: 0o700 })
    const names = (await readdir(dataDir)).filter(name => name === database || name === `${database}-wal`)
    for (const name of names) await copyFile(join(dataDir, name), join(scratch, name), constants.COPYFILE_FICLONE)
  }
  // Whoever opened it meanwhile may have written between two parts of the copy.
  return join(isOpen || await isThere(shared) ? dataDir : scratch, database)
}

function tellOfCopy (error: Error): Diagnosis {
  return warning(`it was not looked through, for that takes a copy: ${error.message}`, 'set TMPDIR to a folder with room for the database, and run as the user that owns it')
}

function diagnose (file: string, examine: ExamineDatabase): Diagnosis {
  try {
    const { isBehind, findings: [first, ...others] } = examine(file)
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
