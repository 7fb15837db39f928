import { setTimeout as wait } from 'node:timers/promises'

/** Delay before a sweep, so that requests in this time share it: one sweep for each of a thousand deletes cost 16 ms of CPU time each. */
const DELAY_MILLISECONDS = 250

export interface Sweeper {
  /** Requests a sweep, which starts soon. */
  request (): void
  /** Resolves when all requested sweeps have ended. */
  close (): Promise<void>
}

/**
 * Runs `sweep` on request, one at a time. Requests during a sweep share one that follows it. A failed sweep is not repeated
 * until the next request.
 */
export function createSweeper (sweep: () => Promise<void>): Sweeper {
  const closing = new AbortController()
  let isRequested = false
  let running: Promise<void> | undefined

  async function run (): Promise<void> {
    while (isRequested) {
      await wait(DELAY_MILLISECONDS, undefined, { signal: closing.signal }).catch(() => {})
      isRequested = false
      await sweep().catch(() => {})
    }
    running = undefined
  }

  return {
    request () {
      isRequested = true
      running ??= run()
    },
    async close () {
      closing.abort()
      await running
    }
  }
}
