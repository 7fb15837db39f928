import { open } from 'node:fs/promises'
import { createSharedSync } from '../shared-sync.ts'

export interface FolderSync {
  /** Resolves when every entry made in the folder before the call is on stable storage. Calls that arrive together share one sync. */
  (): Promise<void>
  close (): Promise<void>
}

/** Syncs one folder. */
export function createFolderSync (folder: string): FolderSync {
  const opened = open(folder)
  opened.catch(() => {})
  return Object.assign(createSharedSync(async () => (await opened).sync()), { close: async () => (await opened).close() })
}
