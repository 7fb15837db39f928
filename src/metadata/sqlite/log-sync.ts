import { dirname } from 'node:path'
import { openSharedSync, type SharedSync, sync } from '../../blobs/disk/durable-files.ts'

/**
 * Syncs the write-ahead log of the database in `file`, which must be open, in a thread of the pool: SQLite itself would
 * stop the event loop for it. A commit is whole in the log or, by its checksums, not there at all, so that its order
 * among other writes does not matter. On the log SQLite holds no locks that closing it here could drop.
 */
export async function openLogSync (file: string): Promise<SharedSync> {
  // SQLite makes the log anew at each start, and its name must last as long as what is in it.
  await sync(dirname(file))
  const syncLog = await openSharedSync(`${file}-wal`, log => log.datasync())
  // A process that was killed may have committed what it never synced. It can be read now, and the next power cut would undo it.
  await syncLog()
  return syncLog
}
