import { constants, copyFile, mkdir, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { isThere } from '../../data-folder.ts'
import { findDamage } from './inspection.ts'
import { isBehind, refuseNewer } from './migrations.ts'

/** What SQLite, its locks and the migrations put beside a database: the ends of their names. */
const COMPANION = /^-(?:wal|shm|hold|journal)$|^\.before-\d{4}(?:\.new)?$/

/** Whether a name is that of something that belongs beside the database called `file`. */
export function isBesideDatabase (name: string, file: string): boolean {
  return name.startsWith(file) && COMPANION.test(name.slice(file.length))
}

/**
 * The database `file` itself where somebody has it open, or was killed over it, which the memory that SQLite shares shows.
 * Else a copy in `scratch`, a folder that it makes: to open the database would leave files beside it, and SQLite's
 * `immutable`, which leaves none, is not to be had from better-sqlite3.
 */
export async function findStillDatabase (file: string, scratch: string): Promise<string> {
  const isOpen = await isThere(`${file}-shm`)
  if (!isOpen) {
    await mkdir(scratch, { mode: 0o700 })
    const parts = [basename(file), `${basename(file)}-wal`]
    const names = (await readdir(dirname(file))).filter(name => parts.includes(name))
    for (const name of names) await copyFile(join(dirname(file), name), join(scratch, name), constants.COPYFILE_FICLONE)
  }
  // Whoever opened it meanwhile may have written between two parts of the copy.
  return isOpen || await isThere(`${file}-shm`) ? file : join(scratch, basename(file))
}

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
