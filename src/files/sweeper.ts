import { setTimeout as wait } from 'node:timers/promises'

/** A sweep waits so long before it begins, so that it serves all that ask for one in that time: a sweep for each of a thousand deletes cost 16 ms of processor time each. */
const GATHER_MILLISECONDS = 250

export interface Sweeper {
  /** Asks for a sweep, which begins soon. */
  request (): void
  /** Ends when every sweep that was asked for has ended. */
  close (): Promise<void>
}

/**
 * Runs `sweep` when it is asked for, never twice at a time: what is asked for while one runs is served by one more behind it.
 * A sweep that fails is not tried again until it is asked for.
 */
export function createSweeper (sweep: () => Promise<void>): Sweeper {
  const closing = new AbortController()
  let isRequested = false
  let running: Promise<void> | undefined

  async function run (): Promise<void> {
    while (isRequested) {
      await wait(GATHER_MILLISECONDS, undefined, { signal: closing.signal }).catch(() => {})
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
