import { setTimeout as wait } from 'node:timers/promises'

/**
 * Delay before a sweep, so that requests in this time share it: one sweep for each of a thousand deletes cost 16 ms of
 * CPU time each.
 */
const DELAY_MILLISECONDS = 250

/**
 * Runs `sweepOnce` on request, one at a time. Requests during a sweep share one that follows it. A failed sweep is not
 * repeated until the next request.
 */
export function createSweeper (
  sweepOnce: (signal: AbortSignal) => Promise<void>, onFailure: (error: unknown) => void
) {
  const stopping = new AbortController()
  let last: Promise<void> = Promise.resolve()
  /** That of the last sweep, until it begins. */
  let delay: AbortController | undefined
  let isClosing = false

  async function run (before: Promise<void>, { signal }: AbortController): Promise<void> {
    await before
    await wait(DELAY_MILLISECONDS, undefined, { signal }).catch(() => {})
    delay = undefined
    await sweepOnce(stopping.signal).catch(onFailure)
  }

  /** Requests a sweep, which starts soon. What fails is tried again within a minute. */
  function sweep (): void {
    if (delay !== undefined) return
    delay = new AbortController()
    if (isClosing) delay.abort()
    last = run(last, delay)
  }

  return {
    sweep,

    /** Sweeps without delay. Resolves when what is discarded now is removed, or can't be. */
    sweepNow (): Promise<void> {
      sweep()
      delay?.abort()
      return last
    },

    /** Aborts the signal of the sweep that runs, and of those that follow. */
    stop (): void {
      stopping.abort()
    },

    /** Resolves when all requested sweeps have ended. */
    async close (): Promise<void> {
      isClosing = true
      delay?.abort()
      let ended: Promise<void>
      do {
        ended = last
        await ended
      } while (ended !== last)
    }
  }
}
