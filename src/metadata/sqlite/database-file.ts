import { constants, copyFile, mkdir, open, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isThere } from '../../data-folder/data-folder.ts'
import { sync } from '../../data-folder/durable-files.ts'
import { Database } from './driver.ts'
import { failureOf } from './failures.ts'

/** Name endings of the files that SQLite, the locks and the migrations create beside a database. */
const COMPANION = /^-(?:wal|shm|hold|journal)$|^\.before-\d{4}(?:\.new)?$/

/** Whether `name` is a file that belongs beside the database called `file`. */
export function isBesideDatabase (name: string, file: string): boolean {
  return name.startsWith(file) && COMPANION.test(name.slice(file.length))
}

/**
 * Copies what is committed in the database `file` into a new file `copy`, and syncs it, but not the folder that it is
 * in. Others can read and write meanwhile; the copy has what was committed when it began. A copy by the file system
 * would miss what is still in the log, and closing the file would drop this process's locks on it.
 * @throws storage_full; then there is no copy.
 */
export async function copyDatabase (file: string, copy: string): Promise<void> {
  // SQLite accepts an empty file; this one has mode 0600 from the start.
  await (await open(copy, 'wx', 0o600)).close()
  try {
    const client = new Database(file, { readonly: true, fileMustExist: true })
    try {
      // Else pages of the copy keep bytes of rows that are moved, and then deleted from it.
      client.pragma('secure_delete = ON')
      client.prepare('VACUUM INTO ?').run(copy)
    } finally {
      client.close()
    }
    await sync(copy)
  } catch (error) {
    await rm(copy, { force: true })
    throw failureOf(error, file)
  }
}

/**
 * A database file that can be read without leaving files beside `file`: `file` itself if a process has it open or was
 * killed while it had (its shared memory file exists then), else a copy in `scratch`, a folder that this function
 * creates. SQLite's `immutable` option would need no copy, but better-sqlite3 does not offer it.
 */
export async function findReadableDatabase (file: string, scratch: string): Promise<string> {
  const isOpen = await isThere(`${file}-shm`)
  if (!isOpen) {
    await mkdir(scratch, { mode: 0o700 })
    const parts = [basename(file), `${basename(file)}-wal`]
    const names = (await readdir(dirname(file))).filter(name => parts.includes(name))
    for (const name of names) await copyFile(join(dirname(file), name), join(scratch, name), constants.COPYFILE_FICLONE)
  }
  // A process that opened it meanwhile may have written between the copies of its parts.
  return isOpen || await isThere(`${file}-shm`) ? file : join(scratch, basename(file))
}
