import { open, rm } from 'node:fs/promises'
import { sync } from '../../blobs/disk/durable-files.ts'
import { Database } from './driver.ts'
import { failureOf } from './failures.ts'

/**
 * Copies what is committed in the database `file` into a new file `copy`, on stable storage but for its name. Others may
 * read and write meanwhile: nobody waits, and the copy has what was committed when it began. Never by the file system:
 * what was committed last is in the log, and closing the file would drop the locks that this process has on it.
 * @throws storage_full; no copy is left then.
 */
export async function copyDatabase (file: string, copy: string): Promise<void> {
  // SQLite takes an empty file that is there; this one is its owner's alone from the start.
  await (await open(copy, 'wx', 0o600)).close()
  try {
    const client = new Database(file, { readonly: true, fileMustExist: true })
    try {
      client.prepare('VACUUM INTO ?').run(copy)
    } finally {
      client.close()
    }
    await sync(copy)
  } catch (error) {
    await rm(copy, { force: true })
    throw failureOf(error)
  }
}
