import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createSharedSync } from '../../shared-sync.ts'

export interface LogSync {
  /** Resolves when every commit made before the call is on stable storage. Calls that arrive together share one sync. */
  (): Promise<void>
  /** Waits for the sync under way. */
  close (): Promise<void>
}

/**
 * Syncs the write-ahead log of the database in `file`, which must be open, in a thread of the pool: SQLite itself would
 * stop the event loop for it. A commit is whole in the log or, by its checksums, not there at all, so that its order
 * among other writes does not matter. On the log SQLite holds no locks that closing it here could drop.
 */
export async function openLogSync (file: string): Promise<LogSync> {
  // SQLite makes the log anew at each start, and its name must last as long as what is in it.
  const folder = await open(dirname(file))
  await folder.sync().finally(() => folder.close())
  const log = await open(`${file}-wal`)
  const sync = createSharedSync(() => log.datasync())
  return Object.assign(sync, {
    async close () {
      await sync().catch(() => {})
      await log.close()
    }
  })
}
