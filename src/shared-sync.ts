import { open, type FileHandle } from 'node:fs/promises'

export interface SharedSync {
  /**
   * Resolves when all that was written before the call is on stable storage. Calls that arrive together are one; a call
   * that arrives while a sync runs waits for the next one, for the running one may have missed it.
   */
  (): Promise<void>
  /** Syncs a last time and lets the file go. */
  close (): Promise<void>
}

/** Opens a file or folder so that callers share its costly syncs; `sync` does one. */
export async function openSharedSync (path: string, sync: (handle: FileHandle) => Promise<void>): Promise<SharedSync> {
  const handle = await open(path)
  let running: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined

  async function run (): Promise<void> {
    next = undefined
    await sync(handle)
  }

  function share (): Promise<void> {
    if (next === undefined) {
      next = running.catch(() => {}).then(run)
      running = next
    }
    return next
  }

  return Object.assign(share, {
    async close () {
      await share().catch(() => {})
      await handle.close()
    }
  })
}
