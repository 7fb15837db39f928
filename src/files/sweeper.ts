import { setTimeout as wait } from 'node:timers/promises'

/** Delay before a sweep, so that requests in this time share it: one sweep for each of a thousand deletes cost 16 ms of CPU time each. */
const DELAY_MILLISECONDS = 250

export interface Sweeper {
  /** Requests a sweep, which starts soon. */
  request (): void
  /** Starts the next sweep without the delay. Resolves when it has ended. */
  sweepNow (): Promise<void>
  /** Aborts the signal of the sweep that runs, and of those that follow. */
  stop (): void
  /** Resolves when all requested sweeps have ended. */
  close (): Promise<void>
}

/**
 * Runs `sweep` on request, one at a time. Requests during a sweep share one that follows it. A failed sweep is not repeated
 * until the next request.
 */
export function createSweeper (sweep: (signal: AbortSignal) => Promise<void>): Sweeper {
  const stopping = new AbortController()
  let running: Promise<void> = Promise.resolve()
  let next: { readonly delay: AbortController, readonly ended: Promise<void> } | undefined
  let isClosing = false

  function request (): NonNullable<typeof next> {
    if (next !== undefined) return next
    const delay = new AbortController()
    if (isClosing) delay.abort()
    running = run(running, delay.signal)
    next = { delay, ended: running }
    return next
  }

  async function run (before: Promise<void>, delayed: AbortSignal): Promise<void> {
    await before
    await wait(DELAY_MILLISECONDS, undefined, { signal: delayed }).catch(() => {})
    next = undefined
    await sweep(stopping.signal).catch(() => {})
  }

  function sweepNow (): Promise<void> {
    const { delay, ended } = request()
    delay.abort()
    return ended
  }

  return {
    request () { request() },
    sweepNow,
    stop: () => stopping.abort(),
    async close () {
      isClosing = true
      let last: Promise<void>
      do {
        next?.delay.abort()
        last = running
        await last
      } while (last !== running)
    }
  }
}
