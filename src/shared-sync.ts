/**
 * Lets callers share a costly `sync`: each call resolves once a sync that began after it has ended, so that what the
 * caller did before is covered. Calls that arrive together are one; a call that arrives while a sync runs waits for the
 * next one, for the running one may have missed it.
 */
export function createSharedSync (sync: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined

  async function run (): Promise<void> {
    next = undefined
    await sync()
  }

  return () => {
    if (next === undefined) {
      const turn = (running ?? Promise.resolve()).catch(() => {}).then(run)
      next = turn
      running = turn
    }
    return next
  }
}
