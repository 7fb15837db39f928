import { open } from 'node:fs/promises'

export interface FolderSync {
  /** Resolves when every entry made in the folder before the call is on stable storage. Calls that arrive together share one sync. */
  (): Promise<void>
  close (): Promise<void>
}

/** Syncs one folder. A call that arrives while a sync runs waits for the next one: the running one may have missed its entry. */
export function createFolderSync (folder: string): FolderSync {
  const opened = open(folder)
  opened.catch(() => {})
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined

  async function run (): Promise<void> {
    next = undefined
    await (await opened).sync()
  }

  function sync (): Promise<void> {
    if (next === undefined) {
      const turn = (running ?? Promise.resolve()).catch(() => {}).then(run)
      next = turn
      running = turn
    }
    return next
  }

  return Object.assign(sync, { close: async () => (await opened).close() })
}
